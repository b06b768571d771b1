package guards

import "github.com/modewatch/modewatch/fsm"

// siteGuards stands for the executables of guards.d. They can only add
// refusals, so that they are judged like hard guards (D14). Its own verdict is
// the first refusal among theirs; Judge reports each of them.
var siteGuards = Guard{Name: "site-guards", Code: 10, Hard: hard, About: fsm.AboutSite, Check: func(in Input) fsm.Verdict {
	verdicts := siteVerdicts(in)
	if refused := Blocking(verdicts); len(refused) > 0 {
		return refused[0]
	}
	return fsm.Verdict{Guard: "site-guards", OK: true, Reason: "no site guard refuses", Hard: true}
}}

// siteVerdicts gives each executable's answer as a verdict of its own, named
// after it: 0 passes, 10-19 blocks, all else cannot tell.
func siteVerdicts(in Input) []fsm.Verdict {
	site := in.Facts.Site
	if !site.OK {
		return []fsm.Verdict{{Guard: "site-guards", Code: 20, Reason: "cannot run the site guards: " + site.Why(), Hard: true}}
	}
	var out []fsm.Verdict
	for _, s := range site.Value {
		v := fsm.Verdict{Guard: s.Name, Code: s.Code, OK: s.Code == 0, Reason: s.Reason, Hard: true}
		switch {
		case v.OK || 10 <= s.Code && s.Code <= 29:
		default:
			v.Code = 20
		}
		if v.Reason == "" && !v.OK {
			v.Reason = "the site guard " + s.Name + " gave no reason"
		}
		out = append(out, v)
	}
	return out
}
