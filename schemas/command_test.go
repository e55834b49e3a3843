package schemas

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const small = "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n    - {name: web, type: Network}\n"

func commandOf(t *testing.T, eventType string, data any) (*Command, error) {
	t.Helper()
	text, err := json.Marshal(data)
	require.NoError(t, err)
	tree, err := ParseTree(text)
	require.NoError(t, err)
	return ParseCommand(eventType, tree)
}

func TestCommandsSayWhatIsAskedFor(t *testing.T) {
	scope := Scope{Environment: "staging", Infrastructure: "users"}
	for eventType, c := range map[string]struct {
		data any
		want Command
	}{
		CommandDestroyRequested:   {DestroyRequested{Scope: scope}, Command{}},
		CommandCancelRequested:    {CancelRequested{Scope: scope, Reason: "no"}, Command{Reason: "no"}},
		CommandResyncRequested:    {ResyncRequested{Scope: scope}, Command{}},
		CommandUnprotectRequested: {UnprotectRequested{Scope: scope, Resources: []string{"db", "web"}, Reason: "moved"}, Command{Resources: []string{"db", "web"}, Reason: "moved"}},
		CommandApproveRequested:   {ApproveRequested{Scope: scope, Revision: 7}, Command{Decision: DecisionApprove, Revision: 7}},
		CommandResumeRequested:    {ResumeRequested{Scope: scope, Revision: 7, Decision: DecisionSkip}, Command{Decision: DecisionSkip, Revision: 7}},
		CommandScaleRequested:     {ScaleRequested{Scope: scope, Resource: "web", Replicas: 5, Reason: "more"}, Command{Resource: "web", Replicas: 5, Reason: "more"}},
		CommandRolloutPause:       {RolloutRequested{Scope: scope, Resource: "web", Reason: "no"}, Command{Order: RolloutPause, Resource: "web", Reason: "no"}},
		CommandRolloutResume:      {RolloutRequested{Scope: scope, Resource: "web"}, Command{Order: RolloutResume, Resource: "web"}},
		CommandRolloutPromote:     {RolloutRequested{Scope: scope, Resource: "web", All: true}, Command{Order: RolloutPromoteAll, Resource: "web"}},
		CommandRolloutAbort:       {RolloutRequested{Scope: scope, Resource: "web"}, Command{Order: RolloutAbort, Resource: "web"}},
		CommandContainerStop:      {ContainerRequested{Environment: "staging", Container: "users", Reason: "no"}, Command{Reason: "no"}},
		CommandContainerStart:     {ContainerRequested{Environment: "staging", Container: "users"}, Command{}},
		CommandContainerPause:     {ContainerRequested{Environment: "staging", Container: "users"}, Command{}},
		CommandContainerResume:    {ContainerRequested{Environment: "staging", Container: "users"}, Command{}},
		CommandContainerRestart:   {ContainerRequested{Environment: "staging", Container: "users"}, Command{}},
		CommandContainerRemove:    {ContainerRequested{Environment: "staging", Container: "users"}, Command{}},
	} {
		t.Run(eventType, func(t *testing.T) {
			command, err := commandOf(t, eventType, c.data)
			require.NoError(t, err)
			c.want.Type, c.want.Scope = eventType, scope
			require.Equal(t, &c.want, command)
		})
	}
	require.Len(t, CommandTypes, 19)
}

func TestWrongCommandsAreRefusedWithFieldAndReason(t *testing.T) {
	for name, c := range map[string]struct {
		eventType     string
		data          any
		field, reason string
	}{
		"a target that is not declared": {CommandDeploymentRequested, map[string]any{"document": small, "targets": []string{"web", "db"}},
			"data.targets[1]", `"db" is no resource of the document`},
		"a plan with more than its name": {CommandDeploymentRequested, map[string]any{"document": small, "plan": map[string]any{"revision": 0, "fingerprint": strings.Repeat("a", 64), "container": map[string]any{"environment": "e", "container": "c"}}},
			"plan.container", "unknown field"},
		"no target":              {CommandDeploymentRequested, map[string]any{"document": small, "targets": []string{}}, "targets", "has 0 entries; at least 1"},
		"an unknown decision":    {CommandResumeRequested, map[string]any{"environment": "e", "infrastructure": "i", "revision": 1, "decision": "wait"}, "decision", `"wait" is not accepted; accepted are "retry", "skip", "rollback"`},
		"a revision before all":  {CommandApproveRequested, map[string]any{"environment": "e", "infrastructure": "i", "revision": 0}, "revision", "0 is too small; at least 1 is accepted"},
		"a part of a revision":   {CommandApproveRequested, map[string]any{"environment": "e", "infrastructure": "i", "revision": 1.5}, "revision", "a value of type integer is expected"},
		"a rollout of nothing":   {CommandRolloutPause, map[string]any{"environment": "e", "infrastructure": "i"}, "", "resource"},
		"fewer than no replicas": {CommandScaleRequested, map[string]any{"environment": "e", "infrastructure": "i", "resource": "web", "replicas": -1}, "replicas", "-1 is too small; at least 0"},
		"nothing to unprotect":   {CommandUnprotectRequested, map[string]any{"environment": "e", "infrastructure": "i", "resources": []string{}}, "resources", "has 0 entries; at least 1"},
		"a field that is not so": {CommandCancelRequested, map[string]any{"environment": "e", "infrastructure": "i", "force": true}, "force", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := commandOf(t, c.eventType, c.data)
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Equal(t, c.field, faults[0].Field)
			require.Contains(t, faults[0].Reason, c.reason)
		})
	}
}
