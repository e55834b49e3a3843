package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	plainDocument    = "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n  - {name: net, type: Network}\n"
	approvedDocument = plainDocument + "  approval: required\n"
)

func TestAPlanIsApprovedWhereTheDocumentOrTheWorkerDemandsIt(t *testing.T) {
	b := newBench(t, "")
	plain, required := b.revision(plainDocument), b.revision(approvedDocument)
	lost := Revision{Number: 2, Reference: strings.Repeat("0", 64)}
	tests := map[string]struct {
		in           PlanInput
		environments []string
		approval     bool
	}{
		"a document that demands nothing":             {PlanInput{Revision: plain}, nil, false},
		"a document that demands it":                  {PlanInput{Revision: required}, nil, true},
		"an environment in which the worker does":     {PlanInput{Revision: plain}, []string{"production", "staging"}, true},
		"another environment":                         {PlanInput{Revision: plain}, []string{"production"}, false},
		"the destruction of what demands it":          {PlanInput{Revision: Revision{Number: 4}, Stable: required}, nil, true},
		"the destruction of what demands nothing":     {PlanInput{Revision: Revision{Number: 4}, Stable: plain}, nil, false},
		"the destruction of what nobody knows":        {PlanInput{Revision: Revision{Number: 4}, Stable: lost}, nil, false},
		"the destruction of it where the worker does": {PlanInput{Revision: Revision{Number: 4}, Stable: lost}, []string{"staging"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b.Approvals, test.in.Scope = test.environments, users
			var out PlanOutput
			value, err := b.run(NamePlan, test.in)
			require.NoError(t, err)
			require.NoError(t, value.Get(&out))
			require.Equal(t, test.approval, out.Approval)
			require.Equal(t, test.approval, out.Fingerprint != "", "what is approved is identified")
		})
	}
}
