package activities

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFaultNamesTheTagsThatThereAre(t *testing.T) {
	missing := &Fault{Kind: NotFound, Message: "there is no such tag", Hint: "correct it"}
	var fault *Fault
	require.ErrorAs(t, withTags(missing, []string{"1.0", "1.1"}), &fault)
	require.Equal(t, "the repository has the tags 1.0, 1.1", fault.Hint)
	require.Equal(t, "correct it", missing.Hint, "the fault itself stays as it is")

	var many []string
	for n := range 12 {
		many = append(many, fmt.Sprintf("1.%02d", n))
	}
	require.ErrorAs(t, withTags(missing, many), &fault)
	require.Equal(t, "the repository has the tags 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09, 1.10, 1.11 and 2 more", fault.Hint)
	other := errors.New("something else")
	require.Equal(t, other, withTags(other, many))
}
