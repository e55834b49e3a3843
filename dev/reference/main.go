// Command reference writes the page of docs/reference that is made from the JSON
// Schema of documents. It runs in the directory of the module.
package main

import (
	"fmt"
	"os"
)

// file is where the page lies, from the directory of the module.
const file = "docs/reference/resources.md"

func main() {
	text, err := newPage()
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}
