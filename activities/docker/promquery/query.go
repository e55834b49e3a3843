package promquery

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Check says what is wrong with the text of a query; nil is nothing.
func Check(query string) error {
	_, err := parser.ParseExpr(query)
	return err
}

const (
	// queryTimeout and maxSamples bound one query.
	queryTimeout = 10 * time.Second
	maxSamples   = 10_000_000
)

// engine answers all queries.
var engine = promql.NewEngine(promql.EngineOpts{MaxSamples: maxSamples, Timeout: queryTimeout})

// Query returns the one number that a query comes to at a time; false is none at all.
// What has more than one value, or is no number, is an error.
func (s *Samples) Query(ctx context.Context, query string, at time.Time) (float64, bool, error) {
	prepared, err := engine.NewInstantQuery(ctx, s, nil, query, at)
	if err != nil {
		return 0, false, err
	}
	defer prepared.Close()
	result := prepared.Exec(ctx)
	if result.Err != nil {
		return 0, false, result.Err
	}
	switch value := result.Value.(type) {
	case promql.Scalar:
		return value.V, !math.IsNaN(value.V), nil
	case promql.Vector:
		switch {
		case len(value) == 0:
			return 0, false, nil
		case len(value) > 1:
			return 0, false, fmt.Errorf("the query has %d values; one is expected, such as of sum()", len(value))
		case value[0].H != nil:
			return 0, false, fmt.Errorf("the query has a histogram; a number is expected")
		}
		return value[0].F, !math.IsNaN(value[0].F), nil
	default:
		return 0, false, fmt.Errorf("the query has a %s; a number is expected", result.Value.Type())
	}
}
