package starter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAgesAreInTheirLargestUnit(t *testing.T) {
	for want, ago := range map[string]time.Duration{
		"0s": -time.Hour, "12s": 12*time.Second + 900*time.Millisecond, "59s": 59 * time.Second, "3m": 3*time.Minute + 50*time.Second,
		"2h": 2*time.Hour + 59*time.Minute, "47h": 47 * time.Hour, "5d": 5*24*time.Hour + time.Hour,
	} {
		require.Equal(t, want, age(noon.Add(-ago), noon))
	}
	require.Equal(t, "-", age(time.Time{}, noon))
}

func TestElapsedTimesHaveTwoUnits(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": -time.Second, "12s": 12 * time.Second, "3m05s": 185 * time.Second, "2h10m": 130*time.Minute + 59*time.Second,
	} {
		require.Equal(t, want, elapsed(d))
	}
}
