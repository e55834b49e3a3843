package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"windlass/dev/engine/host"
)

// debian is a tree of Debian packages that becomes one image layer.
type debian struct {
	// suite is Debian's release by code name.
	suite string
	// include names packages on top of the minimal base.
	include []string
	// user is who the server runs as. The user and its group are given the number that they have in the official image, which
	// Kubernetes goes by.
	user   string
	number int
	// own are the directories that are made for the user, mode 0700.
	own []string
	// leaveOut lists the patterns of paths, as tar takes them, that do not go into the layer.
	leaveOut []string
}

// renumbering gives a user, and the group of the same name, another number, and what was theirs with it.
const renumbering = `
	user=$(id -u "$0") group=$(id -g "$0")
	groupmod --gid "$1" "$0"
	usermod --uid "$1" "$0"
	find / -xdev -user "$user" -exec chown -h "$1" '{}' +
	find / -xdev -group "$group" -exec chgrp -h "$1" '{}' +
`

// hash identifies the layer that the tree gives on the architecture.
func (d debian) hash(architecture string) string {
	return hashOf(architecture, fmt.Sprint(d))
}

// pack installs the packages below the directory work, which is emptied first and removed afterwards, and writes the layer to
// target in one step, so that target is either whole or not there.
func (d debian) pack(ctx context.Context, architecture, work, target string, report *reporter) error {
	if err := ensureDebootstrap(ctx, report); err != nil {
		return err
	}
	sources, err := aptSources(os.DirFS("/"))
	if err != nil {
		return err
	}
	mirror, err := mirrorFor(d.suite, sources)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("clear what an earlier run left: %w", err)
	}
	defer os.RemoveAll(work)

	report.step("installing Debian %s with %s", d.suite, strings.Join(d.include, ", "))
	// In name spaces of its own, debootstrap leaves neither mounts nor processes behind, however it ends.
	if err := d.run(ctx, report, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"debootstrap", "--variant=minbase", "--arch="+architecture, "--include="+strings.Join(d.include, ","),
		d.suite, work, mirror); err != nil {
		return err
	}
	if err := d.run(ctx, report, "chroot", work, "sh", "-ec", renumbering, d.user, strconv.Itoa(d.number)); err != nil {
		return err
	}
	arguments := append([]string{work, "install", "-d", "-o", d.user, "-g", d.user, "-m", "0700"}, d.own...)
	if err := d.run(ctx, report, "chroot", arguments...); err != nil {
		return err
	}
	report.step("packing the layer")
	return d.archive(ctx, work, target, report)
}

func (d debian) archive(ctx context.Context, work, target string, report *reporter) error {
	partial := target + ".partial"
	defer os.Remove(partial)
	arguments := []string{"--create", "--file", partial, "--use-compress-program", "gzip -1", "--directory", work,
		"--one-file-system", "--numeric-owner", "--sort=name", "--mtime=@0"}
	for _, pattern := range d.leaveOut {
		arguments = append(arguments, "--exclude="+pattern)
	}
	if err := d.run(ctx, report, "tar", append(arguments, ".")...); err != nil {
		return err
	}
	if err := os.Rename(partial, target); err != nil {
		return fmt.Errorf("keep the layer: %w", err)
	}
	return nil
}

func (d debian) run(ctx context.Context, report *reporter, name string, arguments ...string) error {
	command := exec.CommandContext(ctx, name, arguments...)
	// The tree is thrown away unless all went well, so that syncing each file to disk would only double the time.
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "DPKG_FORCE=unsafe-io", "LC_ALL=C.UTF-8")
	command.Stdout = report
	command.Stderr = report
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, report.last())
	}
	return nil
}

// ensureDebootstrap installs the tool where it is missing. It needs root in any case.
func ensureDebootstrap(ctx context.Context, report *reporter) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, because debootstrap does: run it as root, or give the engine a registry to pull from")
	}
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	report.step("debootstrap is missing, installing it with apt-get")
	return host.InstallPackages(ctx, "debootstrap")
}
