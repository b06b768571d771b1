# Completion of modewatch for bash. Made from its verbs: see cmd/modewatch/completions_test.go.

_modewatch() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' words='' flags='' i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--config | --run-dir | --lib-dir) ((i++)) ;;
		--) return ;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $prev in
	--config | --run-dir | --lib-dir)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	case $verb in
	status)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	request)
		flags='--config --detach --json --lib-dir --no-color --quiet --run-dir --wait'
		words='desktop studio-local compute'
		;;
	cancel)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	reconcile)
		flags='--config --detach --json --lib-dir --no-color --quiet --run-dir --wait'
		words=''
		;;
	why)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words='desktop studio-local compute'
		;;
	dry-run)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words='desktop studio-local compute'
		;;
	explain)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words='desktop studio-local compute'
		;;
	hold)
		flags='--config --for --lib-dir --no-color --quiet --release --run-dir --why'
		words=''
		;;
	history)
		flags='--config --json --lib-dir --limit --no-color --quiet --run-dir --since'
		words=''
		;;
	timeline)
		flags='--config --format --json --lib-dir --no-color --quiet --run-dir --since'
		words=''
		[[ $prev == --format ]] && words='text svg'
		;;
	report)
		flags='--config --json --lib-dir --no-color --quiet --run-dir --since'
		words=''
		;;
	graph)
		flags='--config --format --lib-dir --no-color --quiet --run-dir'
		words=''
		[[ $prev == --format ]] && words='mermaid svg'
		;;
	state)
		flags='--config --follow --format --json --lib-dir --no-color --quiet --run-dir'
		words=''
		[[ $prev == --format ]] && words='plain json waybar'
		;;
	notify)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	wait-for)
		flags='--config --json --lib-dir --no-color --quiet --run-dir --timeout'
		words='desktop studio-local compute'
		;;
	current)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	desired)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	observe)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	guard)
		flags='--config --json --lib-dir --no-color --quiet --run-dir --to'
		words='check_target_reachable check_studio_capability_local check_graphical_session_present check_audio_idle check_gpu_display_released check_graphical_session_absent check_cpu_load_safe check_user_jobs_safe check_holds check_idle check_vllm_drainable check_memory_headroom'
		[[ $prev == --to ]] && words='desktop studio-local compute'
		;;
	doctor)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	config-check)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	force)
		flags='--config --detach --json --lib-dir --no-color --quiet --run-dir --wait'
		words='desktop studio-local compute'
		;;
	run)
		flags='--config --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	demo)
		flags='--config --lib-dir --no-color --pace --quiet --run-dir'
		words=''
		;;
	version)
		flags='--config --json --lib-dir --no-color --quiet --run-dir'
		words=''
		;;
	help)
		flags='--config --lib-dir --no-color --quiet --run-dir'
		words='status request cancel reconcile why dry-run explain hold history timeline report graph state notify wait-for current desired observe guard doctor config-check force run demo version help'
		;;
	'') words='status request cancel reconcile why dry-run explain hold history timeline report graph state notify wait-for current desired observe guard doctor config-check force run demo version help' flags='--config --json --lib-dir --no-color --quiet --run-dir --help --version' ;;
	esac
	[[ $cur == -* ]] && words=$flags
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _modewatch modewatch mode
