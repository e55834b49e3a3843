package starter

import (
	"fmt"
	"time"
)

// age says how long ago something was, in its largest unit: 12s, 3m, 2h, 5d. A
// time that is not known is "-"; one in the future, of a clock that differs, is 0s.
func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	switch d := max(0, now.Sub(since)); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// elapsed writes a length of time with two units: 12s, 3m05s, 2h10m.
func elapsed(d time.Duration) string {
	d = max(0, d).Truncate(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}
