package stack

import (
	"context"
	"fmt"
	"net"
	"net/http"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

type webUI struct {
	server  *uiserver.Server
	address string
}

// startWebUI needs a Temporal server that answers: the connection to it is opened at once, and a refused one would be
// tried again only after a second.
func startWebUI(ctx context.Context, address *reservation, temporalAddress string) (*webUI, error) {
	host := address.ip()
	if address.tcp().IP.To4() == nil {
		host = "[" + host + "]"
	}
	u := &webUI{
		address: address.dial(),
		server: uiserver.NewServer(server_options.WithConfigProvider(&uiconfig.Config{
			Host:                host,
			Port:                address.port(),
			TemporalGRPCAddress: temporalAddress,
			DefaultNamespace:    namespace,
			EnableUI:            true,
			// News come from a host on the internet.
			DisableNewsFetch: true,
			HideLogs:         true,
			// Browsers keep no secure cookie of http://127.0.0.1, and without it every button of the UI fails.
			CORS: uiconfig.CORS{CookieInsecure: true, AllowOrigins: []string{"http://" + address.dial()}},
		})),
	}
	address.release()
	go func() { _ = u.server.Start() }()
	if err := u.ready(ctx); err != nil {
		u.stop()
		return nil, err
	}
	return u, nil
}

func (u *webUI) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := poll(ctx, func() error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
	if err != nil {
		return fmt.Errorf("wait for the web UI: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.address+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask the web UI for its health: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the web UI for its health: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the web UI answers %s", response.Status)
	}
	return nil
}

func (u *webUI) stop() { u.server.Stop() }
