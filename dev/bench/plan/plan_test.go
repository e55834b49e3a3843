// Package plan measures what it takes to read and to plan large documents.
package plan

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// resources are the sizes that are compared: what is linear costs ten times as much.
var resources = []int{1000, 10_000}

// document declares that many volumes in chains of ten.
func document(n int) string {
	var text strings.Builder
	text.WriteString("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: large}\nspec:\n  environment: bench\n  resources:\n")
	for i := range n {
		fmt.Fprintf(&text, "    - name: r%05d\n      type: Storage\n      properties: {labels: {v: \"1\"}}\n", i)
		if i%10 > 0 {
			fmt.Fprintf(&text, "      dependsOn: [r%05d]\n", i-1)
		}
	}
	return text.String()
}

// nowhere is a provider that predicts outputs and holds nothing.
type nowhere struct{ activities.Provider }

func (nowhere) Outputs(d plan.Desired) (schemas.Outputs, error) {
	return schemas.Outputs{"name": d.Resource}, nil
}
func (nowhere) ReplaceOn(schemas.ResourceType) []string                         { return nil }
func (nowhere) Observe(context.Context, schemas.Scope) ([]plan.Observed, error) { return nil, nil }

// cost is CPU time of the process and bytes that were allocated.
func cost(b *testing.B, work func()) (cpu time.Duration, bytes uint64) {
	b.Helper()
	spent := func() time.Duration {
		var usage syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	from := spent()
	work()
	cpu = spent() - from
	runtime.ReadMemStats(&after)
	return cpu, after.TotalAlloc - before.TotalAlloc
}

func BenchmarkPlanning(b *testing.B) {
	providers := activities.Providers{schemas.DefaultProvider: nowhere{}}
	measured := map[string][]float64{}
	for _, n := range resources {
		text := []byte(document(n))
		var parsed *schemas.Infrastructure
		var desired []plan.Desired
		var made plan.Plan
		steps := []struct {
			name string
			work func()
		}{
			{"validate", func() {
				var err error
				parsed, err = schemas.Parse(text, nil)
				require.NoError(b, err)
			}},
			{"resolve", func() {
				var err error
				desired, err = activities.Declare(parsed, 1, providers)
				require.NoError(b, err)
			}},
			{"plan, all to create", func() { made = plan.Diff(desired, nil) }},
			{"plan, all unchanged", func() {
				observed := make([]plan.Observed, len(desired))
				for i, d := range desired {
					observed[i] = plan.Observed{Target: d.Target, SpecHash: d.SpecHash, Properties: d.Properties, DependsOn: d.DependsOn, State: plan.StateReady}
				}
				require.Equal(b, fmt.Sprintf("%d unchanged", n), plan.Diff(desired, observed).String())
			}},
		}
		for _, s := range steps {
			cpu, bytes := cost(b, s.work)
			measured[s.name] = append(measured[s.name], cpu.Seconds(), float64(bytes))
			b.Logf("%6d resources: %-20s %8.1f ms of CPU, %6.1f MiB allocated", n, s.name, cpu.Seconds()*1000, float64(bytes)/(1<<20))
		}
		require.Len(b, made.Operations, n)
	}
	total := 0.0
	for _, m := range measured {
		total += m[2]
	}
	growth := func(at int) (least float64) {
		for _, m := range measured {
			least = max(least, m[at+2]/m[at]/10)
		}
		return least
	}
	b.ReportMetric(total, "s/10000")
	b.ReportMetric(growth(0), "CPU-growth/linear")
	b.ReportMetric(growth(1), "memory-growth/linear")
}
