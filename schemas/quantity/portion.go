package quantity

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Portion is a part of a number of things: a count such as 2, or a share such as "25%".
type Portion struct {
	amount  int
	percent bool
}

// Count is the portion of exactly n things.
func Count(n int) Portion { return Portion{amount: n} }

// Percent is the portion of n hundredths.
func Percent(n int) Portion { return Portion{amount: n, percent: true} }

// Up is the portion of n things, rounded up.
func (p Portion) Up(n int) int { return p.of(n, math.Ceil) }

// Down is the portion of n things, rounded down.
func (p Portion) Down(n int) int { return p.of(n, math.Floor) }

func (p Portion) of(n int, round func(float64) float64) int {
	if !p.percent {
		return p.amount
	}
	return int(round(float64(n) * float64(p.amount) / 100))
}

// String writes the portion as documents do.
func (p Portion) String() string {
	if p.percent {
		return strconv.Itoa(p.amount) + "%"
	}
	return strconv.Itoa(p.amount)
}

// MarshalJSON writes a count as a number and a share as text.
func (p Portion) MarshalJSON() ([]byte, error) {
	if p.percent {
		return json.Marshal(p.String())
	}
	return json.Marshal(p.amount)
}

// UnmarshalJSON reads what MarshalJSON writes; what is negative is refused.
func (p *Portion) UnmarshalJSON(b []byte) error {
	*p = Portion{}
	digits, percent := strings.CutSuffix(strings.Trim(string(b), `"`), "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		return fmt.Errorf("%s is no portion; write for example 2 or \"25%%\"", b)
	}
	p.amount, p.percent = n, percent
	return nil
}
