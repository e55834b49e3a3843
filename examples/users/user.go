package main

import (
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	// maxName is counted in characters.
	maxName = 200
	// maxEmail is the longest address that mail can be sent to, in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
	maxEmail = 254
)

// user is one user as callers see it. The order of the fields is that of the columns in store.go.
type user struct {
	ID        uuid.UUID `json:"id"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// userInput is what a caller may set of a user.
type userInput struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// fieldError says what is wrong with one field of a request.
type fieldError struct {
	field  string
	reason string
}

func (e *fieldError) Error() string {
	return fmt.Sprintf("%s %s", e.field, e.reason)
}

// validate takes blanks off both ends of each field and returns a *fieldError for the first field that is wrong.
func (u *userInput) validate() error {
	u.Name = strings.TrimSpace(u.Name)
	u.Email = strings.TrimSpace(u.Email)
	switch {
	case u.Name == "":
		return &fieldError{"name", "is required"}
	case utf8.RuneCountInString(u.Name) > maxName:
		return &fieldError{"name", fmt.Sprintf("is longer than %d characters", maxName)}
	case strings.ContainsFunc(u.Name, unicode.IsControl):
		return &fieldError{"name", "has a control character"}
	case u.Email == "":
		return &fieldError{"email", "is required"}
	case len(u.Email) > maxEmail:
		return &fieldError{"email", fmt.Sprintf("is longer than %d bytes", maxEmail)}
	case strings.ContainsFunc(u.Email, unicode.IsControl):
		return &fieldError{"email", "has a control character"}
	}
	// The parser also takes a display name, such as "Ada <ada@example.org>"; only the bare address is wanted.
	if address, err := mail.ParseAddress(u.Email); err != nil || address.Address != u.Email {
		return &fieldError{"email", "is not an email address"}
	}
	return nil
}
