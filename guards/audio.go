package guards

import (
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// audioIdle is check_audio_idle: nobody uses low-latency audio on a host that
// is about to become headless (specification section 10.2, G1).
var audioIdle = guard("check_audio_idle", 10, hard, fsm.AboutAudio, func(in Input) answer {
	audio := in.Facts.Audio
	if !audio.OK {
		return cannotTell("who uses audio", audio.Why())
	}
	if len(audio.Value.Looked) == 0 {
		return cannotTell("who uses audio", "the probe looked at nothing")
	}
	looked := "looked at: " + strings.Join(audio.Value.Looked, ", ")
	var users []string
	for _, u := range audio.Value.Users {
		users = append(users, process(u.Comm, u.PID, u.UID)+": "+u.How)
	}
	if len(users) == 0 {
		return pass("nobody uses audio", looked)
	}
	return block("audio is in use by "+users[0], join(others(users), looked))
})
