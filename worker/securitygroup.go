package worker

import (
	"context"
	"log/slog"
	"time"

	"windlass/activities"
)

// restoreInterval lies between two attempts while the engine does not answer.
const restoreInterval = 2 * time.Second

// restoreSecurityGroups closes what has security groups after a start of the host,
// as soon as the engine answers. A worker runs without it too: whatever needs what
// is missing fails with the reason.
func restoreSecurityGroups(ctx context.Context, restore func(context.Context) error, logger *slog.Logger) {
	for told := false; ; told = true {
		err := restore(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !told {
			logger.Warn("security groups are not restored", "error", err)
		}
		if !activities.IsKind(err, activities.Unavailable) {
			return
		}
		select {
		case <-time.After(restoreInterval):
		case <-ctx.Done():
			return
		}
	}
}
