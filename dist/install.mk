# install and uninstall: "make install DESTDIR=x PREFIX=/usr". One set of files
# for every system with systemd; a package sets DESTDIR, or PREFIX and
# SYSCONFDIR. Nothing is started, enabled or reloaded: what to do next is
# printed. Included by the Makefile, which builds bin/modewatch and bin/modewatch-gpu.
PREFIX     ?= /usr
SYSCONFDIR ?= /etc
BINDIR     ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/modewatch
LIBDIR     ?= $(PREFIX)/lib
DOCDIR     ?= $(PREFIX)/share/doc/modewatch
UNITDIR    ?= $(LIBDIR)/systemd/system
USERUNITDIR ?= $(LIBDIR)/systemd/user
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
INSTALL    ?= install
MODEWATCH  ?= bin/modewatch

DIST := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

dist_units   := $(notdir $(wildcard $(DIST)/systemd/*.service $(DIST)/systemd/*.target $(DIST)/systemd/*.slice))
dist_user    := modewatch-notify.service
dist_scripts := $(notdir $(wildcard $(DIST)/libexec/*))

# Names under which the program is one guard, or the observer of section 23.3
# (there /usr/local/libexec/mode-controller/observe-current).
dist_links := observe-current \
	check_target_reachable check_studio_capability_local check_audio_idle \
	check_gpu_display_released check_graphical_session_absent \
	check_graphical_session_present check_vllm_drainable check_memory_headroom \
	check_cpu_load_safe check_user_jobs_safe check_holds

# Units that run the program and share one sandbox.
dist_hardened := modewatch.service mode-controller@.service mode-observe.service mode-guard@.service

# Units of others that must live through an isolate although a mode's target
# may not want them: started by the bus, by a socket or by udev. A drop-in for a
# unit that a host does not have is inert.
dist_survivors := dbus.service dbus-broker.service systemd-logind.service polkit.service \
	ssh.service sshd.service ssh@.service sshd@.service \
	wpa_supplicant.service nvidia-persistenced.service

# Files of the administrator: written once, never replaced.
dist_config := capability-placement.json audio-priority.env \
	vllm/compute.env vllm/desktop.env.example \
	$(if $(wildcard $(DIST)/config.toml),config.toml)

# Copies $(1) to $(2) with the paths of this installation.
dist_place = sed -e 's|/usr/bin/modewatch|$(BINDIR)/modewatch|g' \
	-e 's|/usr/libexec/modewatch|$(LIBEXECDIR)|g' $(1) >$(2) && chmod $(3) $(2)

dist_dropins = $(foreach u,$(dist_hardened),$(u).d/10-hardening.conf) \
	$(foreach u,$(dist_survivors) k3s.service k3s-agent.service,$(u).d/10-modewatch.conf) \
	vllm@compute.service.d/10-gpus.conf vllm@desktop.service.d/10-gpus.conf

.PHONY: install install-bin install-units install-bus install-paper install-config install-next uninstall

install: install-bin install-units install-bus install-paper install-config install-next

install-bin: $(MODEWATCH) $(GPU_PROBE)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DOCDIR)
	$(INSTALL) -m 0755 $(MODEWATCH) $(DESTDIR)$(BINDIR)/modewatch
	ln -sfn modewatch $(DESTDIR)$(BINDIR)/mode
	[ -z "$(GPU_PROBE)" ] || $(INSTALL) -m 0755 $(GPU_PROBE) $(DESTDIR)$(LIBEXECDIR)/gpu-probe
	@set -e; for s in $(dist_scripts); do \
		$(call dist_place,$(DIST)/libexec/$$s,$(DESTDIR)$(LIBEXECDIR)/$$s,0755); done
	@set -e; for l in $(dist_links); do \
		ln -sfn "$$(realpath -m --relative-to=$(LIBEXECDIR) $(BINDIR)/modewatch)" $(DESTDIR)$(LIBEXECDIR)/$$l; done
	$(INSTALL) -m 0644 $(DIST)/systemd/HARDENING.md $(DESTDIR)$(DOCDIR)/HARDENING.md

install-units:
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(LIBDIR)/tmpfiles.d \
		$(DESTDIR)$(LIBDIR)/sysusers.d $(DESTDIR)$(LIBDIR)/systemd/catalog
	@set -e; for u in $(dist_units); do \
		$(call dist_place,$(DIST)/systemd/$$u,$(DESTDIR)$(UNITDIR)/$$u,0644); done
	$(INSTALL) -d $(DESTDIR)$(USERUNITDIR)
	@$(call dist_place,$(DIST)/systemd/user/$(dist_user),$(DESTDIR)$(USERUNITDIR)/$(dist_user),0644)
	@set -e; cd $(DIST)/systemd; put() { $(INSTALL) -D -m 0644 "$$1" "$(abspath $(DESTDIR)/)$(UNITDIR)/$$2"; }; \
	for u in $(dist_hardened); do put hardening.conf "$$u.d/10-hardening.conf"; done; \
	for u in $(dist_survivors); do put dropins/survive-isolate.conf "$$u.d/10-modewatch.conf"; done; \
	for u in k3s.service k3s-agent.service; do put dropins/k3s.conf "$$u.d/10-modewatch.conf"; done; \
	for p in compute desktop; do put dropins/vllm-$$p.conf "vllm@$$p.service.d/10-gpus.conf"; done
	$(INSTALL) -m 0644 $(DIST)/tmpfiles.d/modewatch.conf $(DESTDIR)$(LIBDIR)/tmpfiles.d/modewatch.conf
	$(INSTALL) -m 0644 $(DIST)/sysusers.d/modewatch.conf $(DESTDIR)$(LIBDIR)/sysusers.d/modewatch.conf
	$(INSTALL) -m 0644 $(DIST)/catalog/modewatch.catalog $(DESTDIR)$(LIBDIR)/systemd/catalog/modewatch.catalog

# The service on the system bus, and who may ask what of it.
dist_bus := dbus-1/system.d/org.modewatch1.conf polkit-1/actions/org.modewatch1.policy \
	polkit-1/rules.d/50-modewatch.rules dbus-1/interfaces/org.modewatch1.xml
install-bus:
	@set -e; put() { $(INSTALL) -D -m 0644 "$$1" "$(DESTDIR)$(DATADIR)/$$2"; }; \
	put $(DIST)/dbus/org.modewatch1.conf dbus-1/system.d/org.modewatch1.conf; \
	put $(DIST)/polkit/org.modewatch1.policy polkit-1/actions/org.modewatch1.policy; \
	put $(DIST)/polkit/50-modewatch.rules polkit-1/rules.d/50-modewatch.rules; \
	put $(DIST)/../sinks/bus/org.modewatch1.xml dbus-1/interfaces/org.modewatch1.xml

# Manual pages and completions; "mode" is completed as modewatch is.
dist_paper := $(MANDIR)/man8/modewatch.8 $(MANDIR)/man5/modewatch.toml.5 \
	$(DATADIR)/bash-completion/completions/modewatch $(DATADIR)/bash-completion/completions/mode \
	$(DATADIR)/zsh/site-functions/_modewatch \
	$(DATADIR)/fish/vendor_completions.d/modewatch.fish $(DATADIR)/fish/vendor_completions.d/mode.fish
install-paper:
	@set -e; put() { $(INSTALL) -D -m 0644 "$(DIST)/$$1" "$(DESTDIR)$$2"; }; \
	put man/modewatch.8 $(MANDIR)/man8/modewatch.8; put man/modewatch.toml.5 $(MANDIR)/man5/modewatch.toml.5; \
	put completions/modewatch.bash $(DATADIR)/bash-completion/completions/modewatch; \
	put completions/_modewatch $(DATADIR)/zsh/site-functions/_modewatch; \
	put completions/modewatch.fish $(DATADIR)/fish/vendor_completions.d/modewatch.fish; \
	ln -sfn modewatch $(DESTDIR)$(DATADIR)/bash-completion/completions/mode; \
	ln -sfn modewatch.fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/mode.fish

install-config:
	$(INSTALL) -d -m 0755 $(DESTDIR)$(SYSCONFDIR)/modewatch/guards.d $(DESTDIR)$(SYSCONFDIR)/modewatch/vllm
	@set -e; for f in $(filter-out config.toml,$(dist_config)); do to=$(DESTDIR)$(SYSCONFDIR)/modewatch/$$f; \
		[ -e "$$to" ] || $(INSTALL) -m 0644 $(DIST)/etc/$$f "$$to"; done
	@to=$(DESTDIR)$(SYSCONFDIR)/modewatch/config.toml; \
		[ ! -e $(DIST)/config.toml ] || [ -e "$$to" ] || $(INSTALL) -m 0644 $(DIST)/config.toml "$$to"

# Only for a real installation: a package's scripts do this by themselves.
install-next: install-bin install-units install-bus install-paper install-config
	@[ -n "$(DESTDIR)" ] || printf '%s\n' '' \
		'modewatch is installed. Nothing has been started. Next:' \
		'  systemd-sysusers                          # group modewatch, user vllm' \
		'  systemd-tmpfiles --create modewatch.conf  # /run/mode-controller' \
		'  journalctl --update-catalog               # for journalctl -x' \
		'  systemctl daemon-reload' \
		'  systemctl reload dbus.service             # its policy; or dbus-broker.service' \
		'  modewatch config-check                    # after editing $(SYSCONFDIR)/modewatch/config.toml' \
		'  systemctl enable --now modewatch.service' \
		'A running k3s moves to platform.slice at its next start.'

# The administrator's files in $(SYSCONFDIR)/modewatch and the state in
# /var/lib/mode-controller stay.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/modewatch $(DESTDIR)$(BINDIR)/mode \
		$(addprefix $(DESTDIR)$(LIBEXECDIR)/,$(dist_scripts) $(dist_links) gpu-probe) \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(dist_units) $(dist_dropins)) \
		$(DESTDIR)$(USERUNITDIR)/$(dist_user) \
		$(addprefix $(DESTDIR)$(DATADIR)/,$(dist_bus)) $(addprefix $(DESTDIR),$(dist_paper)) \
		$(DESTDIR)$(LIBDIR)/tmpfiles.d/modewatch.conf $(DESTDIR)$(LIBDIR)/sysusers.d/modewatch.conf \
		$(DESTDIR)$(LIBDIR)/systemd/catalog/modewatch.catalog $(DESTDIR)$(DOCDIR)/HARDENING.md
	-rmdir --ignore-fail-on-non-empty $(sort $(addprefix $(DESTDIR)$(UNITDIR)/,$(dir $(dist_dropins)))) \
		$(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DOCDIR)
