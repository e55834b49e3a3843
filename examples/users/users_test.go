package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"windlass/dev/images/trial"
)

func TestUsers(t *testing.T) {
	_, server := trial.Postgres(t, trial.Engine(t))

	t.Run("a user is created, read, replaced and removed", func(t *testing.T) {
		i := startInstance(t, trial.PostgresDatabase(t, server))
		created := i.ask(t, http.MethodPost, "/users", `{"name":" Ada Lovelace ","email":"ada@example.org"}`)
		require.Equal(t, http.StatusCreated, created.status, created.body)
		ada := into[user](t, created)
		require.Equal(t, "/users/"+ada.ID.String(), created.header.Get("Location"))
		require.Equal(t, "Ada Lovelace", ada.Name, "blanks at the ends are taken off")
		require.Equal(t, time.UTC, ada.CreatedAt.Location())
		require.Equal(t, ada.CreatedAt, ada.UpdatedAt)

		path := "/users/" + ada.ID.String()
		require.Equal(t, ada, into[user](t, i.ask(t, http.MethodGet, path, "")))

		replaced := i.ask(t, http.MethodPut, path, `{"name":"Ada King","email":"ada@example.com"}`)
		require.Equal(t, http.StatusOK, replaced.status, replaced.body)
		king := into[user](t, replaced)
		require.Equal(t, "Ada King", king.Name)
		require.Equal(t, "ada@example.com", king.Email)
		require.Equal(t, ada.CreatedAt, king.CreatedAt)
		require.True(t, king.UpdatedAt.After(ada.UpdatedAt))

		require.Equal(t, http.StatusNoContent, i.ask(t, http.MethodDelete, path, "").status)
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			require.Equal(t, http.StatusNotFound, i.ask(t, method, path, "").status, method)
		}
		require.Equal(t, http.StatusNotFound, i.ask(t, http.MethodPut, path, `{"name":"A","email":"a@example.org"}`).status)
	})

	t.Run("an email belongs to one user, however it is spelled", func(t *testing.T) {
		i := startInstance(t, trial.PostgresDatabase(t, server))
		i.create(t, "Ada", "ada@example.org")
		bob := i.create(t, "Bob", "bob@example.org")
		for _, taken := range []answer{
			i.ask(t, http.MethodPost, "/users", `{"name":"Other","email":"ADA@example.org"}`),
			i.ask(t, http.MethodPut, "/users/"+bob.ID.String(), `{"name":"Bob","email":"ada@example.org"}`),
		} {
			require.Equal(t, http.StatusConflict, taken.status, taken.body)
			require.Equal(t, "email", into[problem](t, taken).Field)
		}
	})

	t.Run("a list comes in pages", func(t *testing.T) {
		i := startInstance(t, trial.PostgresDatabase(t, server))
		require.JSONEq(t, `{"users":[]}`, i.ask(t, http.MethodGet, "/users", "").body)
		var want []string
		for n := range 5 {
			want = append(want, i.create(t, "User", fmt.Sprintf("user%d@example.org", n)).Email)
		}
		var got []string
		var pages int
		for after := ""; pages == 0 || after != ""; pages++ {
			path := "/users?limit=2"
			if after != "" {
				path += "&after=" + after
			}
			answered := i.ask(t, http.MethodGet, path, "")
			require.Equal(t, http.StatusOK, answered.status, answered.body)
			current := into[page](t, answered)
			for _, found := range current.Users {
				got = append(got, found.Email)
			}
			after = current.Next
		}
		require.Equal(t, want, got, "all of them, in the order in which they were created")
		require.Equal(t, 3, pages)
	})

	t.Run("a bad request is refused with the field", func(t *testing.T) {
		i := startInstance(t, trial.PostgresDatabase(t, server))
		refuseBadRequests(t, i)
		require.JSONEq(t, `{"users":[]}`, i.ask(t, http.MethodGet, "/users", "").body, "nothing was created")
	})

	t.Run("health names the version and asks the database", func(t *testing.T) {
		i := startInstance(t, trial.PostgresDatabase(t, server))
		healthy := i.ask(t, http.MethodGet, "/healthz", "")
		require.Equal(t, http.StatusOK, healthy.status)
		require.JSONEq(t, `{"status":"ok","version":"development"}`, healthy.body)

		i.store.close()
		sick := i.ask(t, http.MethodGet, "/healthz", "")
		require.Equal(t, http.StatusServiceUnavailable, sick.status)
		require.JSONEq(t, `{"status":"unavailable","version":"development"}`, sick.body)
	})

	t.Run("a fault shows nothing internal and is found in the log", func(t *testing.T) {
		database := trial.PostgresDatabase(t, server)
		i := startInstance(t, database)
		_, err := connect(t, database).Exec(t.Context(), "DROP TABLE users")
		require.NoError(t, err)
		id := uuid.NewString()
		for _, fault := range []answer{
			i.ask(t, http.MethodGet, "/users", ""),
			i.ask(t, http.MethodGet, "/users/"+id, ""),
			i.ask(t, http.MethodPost, "/users", `{"name":"Ada","email":"ada@example.org"}`),
			i.ask(t, http.MethodPut, "/users/"+id, `{"name":"Ada","email":"ada@example.org"}`),
			i.ask(t, http.MethodDelete, "/users/"+id, ""),
		} {
			require.Equal(t, http.StatusInternalServerError, fault.status)
			told := into[problem](t, fault)
			require.Equal(t, problem{Error: "internal error", RequestID: fault.header.Get(requestIDHeader)}, told)
			require.NotEmpty(t, told.RequestID)
			require.Contains(t, i.log.String(), `"requestId":"`+told.RequestID+`","error":"ERROR: relation \"users\" does not exist`)
		}
	})

	t.Run("the log has one line per request and no credentials", func(t *testing.T) {
		i := startInstance(t, trial.PostgresDatabase(t, server))
		i.create(t, "Ada", "ada@example.org")
		require.Contains(t, i.log.String(), `"method":"POST","path":"/users","status":201`)
		require.NotContains(t, i.log.String(), "trial-password")
	})
}

func refuseBadRequests(t *testing.T, i *instance) {
	t.Helper()
	const fine = `{"name":"Ada","email":"ada@example.org"}`
	cases := map[string]struct {
		method, path, contentType, body string
		status                          int
		field                           string
	}{
		"no name":                      {body: `{"email":"a@example.org"}`, status: 400, field: "name"},
		"a blank name":                 {body: `{"name":" ","email":"a@example.org"}`, status: 400, field: "name"},
		"a name that is too long":      {body: `{"name":"` + strings.Repeat("ä", 201) + `","email":"a@example.org"}`, status: 400, field: "name"},
		"a name with a null character": {body: `{"name":"a\u0000b","email":"a@example.org"}`, status: 400, field: "name"},
		"a name that is a number":      {body: `{"name":1,"email":"a@example.org"}`, status: 400, field: "name"},
		"no email":                     {body: `{"name":"Ada"}`, status: 400, field: "email"},
		"an email that is none":        {body: `{"name":"Ada","email":"ada"}`, status: 400, field: "email"},
		"an email with a display name": {body: `{"name":"Ada","email":"Ada <ada@example.org>"}`, status: 400, field: "email"},
		"an email that is too long":    {body: `{"name":"Ada","email":"` + strings.Repeat("a", 255) + `@example.org"}`, status: 400, field: "email"},
		"an unknown field":             {body: `{"name":"Ada","email":"a@example.org","admin":true}`, status: 400, field: "admin"},
		"an id that the caller chose":  {body: `{"id":"x","name":"Ada","email":"a@example.org"}`, status: 400, field: "id"},
		"an empty body":                {body: ``, status: 400, field: "body"},
		"a cut body":                   {body: `{"name":"Ada"`, status: 400, field: "body"},
		"null":                         {body: `null`, status: 400, field: "name"},
		"a list":                       {body: `[]`, status: 400, field: "body"},
		"two values":                   {body: fine + fine, status: 400, field: "body"},
		"rubbish behind the value":     {body: fine + "x", status: 400, field: "body"},
		"a body that is too big":       {body: `{"name":"` + strings.Repeat("a", maxBody) + `"}`, status: 413},
		"blanks without end":           {body: fine + strings.Repeat(" ", maxBody), status: 413},
		"another content type":         {contentType: "text/plain", body: fine, status: 415},
		"no content type":              {contentType: " ", body: fine, status: 415},
		"a malformed id":               {method: http.MethodGet, path: "/users/1", status: 400, field: "id"},
		"an id in another spelling":    {method: http.MethodGet, path: "/users/{" + uuid.NewString() + "}", status: 400, field: "id"},
		"a malformed id to remove":     {method: http.MethodDelete, path: "/users/1", status: 400, field: "id"},
		"a malformed id to replace":    {method: http.MethodPut, path: "/users/1", body: fine, status: 400, field: "id"},
		"an unknown id":                {method: http.MethodGet, path: "/users/" + uuid.NewString(), status: 404},
		"a limit of none":              {method: http.MethodGet, path: "/users?limit=0", status: 400, field: "limit"},
		"a limit that is too high":     {method: http.MethodGet, path: "/users?limit=201", status: 400, field: "limit"},
		"a limit that is no number":    {method: http.MethodGet, path: "/users?limit=x", status: 400, field: "limit"},
		"a malformed page":             {method: http.MethodGet, path: "/users?after=x", status: 400, field: "after"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			method, path, contentType := http.MethodPost, "/users", "application/json"
			if c.method != "" {
				method, path = c.method, c.path
			}
			if c.contentType != "" {
				contentType = c.contentType
			}
			refused := i.askAs(t, method, path, contentType, c.body)
			require.Equal(t, c.status, refused.status, refused.body)
			told := into[problem](t, refused)
			require.Equal(t, c.field, told.Field)
			require.NotEmpty(t, told.Error)
			require.NotEmpty(t, told.RequestID)
		})
	}
}
