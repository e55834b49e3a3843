// Package quantity holds amounts as people write them: durations, processor time and memory.
package quantity

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written like "1s", "1m30s" or "250ms".
type Duration time.Duration

// MarshalJSON writes the duration as text.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads the text form; a negative duration is refused.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("a duration is text such as \"30s\": %w", err)
	}
	v, err := ParseDuration(text)
	*d = v
	return err
}

// ParseDuration reads a duration such as "1s", "1m30s" or "250ms".
func ParseDuration(text string) (Duration, error) {
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is no duration; write for example 30s, 1m30s or 250ms", text)
	}
	return Duration(v), nil
}

// CPU is an amount of processor time per time: cores ("0.5", "2") or thousandths of one ("500m").
type CPU string

// Nano returns the amount in billionths of a core; empty is 0.
func (c CPU) Nano() (int64, error) {
	if c == "" {
		return 0, nil
	}
	number, factor := string(c), 1e9
	if rest, ok := strings.CutSuffix(number, "m"); ok {
		number, factor = rest, 1e6
	}
	return scaled(string(c), number, factor, "0.5, 2 or 500m")
}

// Memory is a number of bytes, with a suffix Ki, Mi, Gi, Ti (powers of 1,024) or
// k, M, G, T (powers of 1,000).
type Memory string

var memorySuffixes = []struct {
	suffix string
	factor float64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
	{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
}

// Bytes returns the number of bytes; empty is 0.
func (m Memory) Bytes() (int64, error) {
	if m == "" {
		return 0, nil
	}
	number, factor := string(m), 1.0
	for _, s := range memorySuffixes {
		if rest, ok := strings.CutSuffix(number, s.suffix); ok {
			number, factor = rest, s.factor
			break
		}
	}
	return scaled(string(m), number, factor, "64Mi, 1.5Gi or 500M")
}

func scaled(text, number string, factor float64, accepted string) (int64, error) {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) || v*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is no amount; write for example %s", text, accepted)
	}
	return int64(v * factor), nil
}
