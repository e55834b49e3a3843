package schemas

import "runtime/debug"

// Version is the version of this build as the Go toolchain derived it from version
// control, or "development" for a build that has none.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
