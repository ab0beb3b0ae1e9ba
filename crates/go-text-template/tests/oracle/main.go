// The oracle of the differential suite: it renders every case of standard input with Go's text/template and sprig.
//
// With the argument "functions" it lists the names of sprig's functions instead.
//
// Input: a JSON list of {"template", "data"}; output: a JSON list of {"output" (base64), "error"}.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

type testCase struct {
	Template string `json:"template"`
	Data     any    `json:"data"`
}

type result struct {
	Output []byte `json:"output"`
	Error  string `json:"error"`
}

func render(c testCase) (r result) {
	var out bytes.Buffer
	defer func() {
		r.Output = out.Bytes()
		if p := recover(); p != nil {
			r.Error = fmt.Sprintf("panic: %v", p)
		}
	}()
	t, err := template.New("format output").Funcs(sprig.TxtFuncMap()).Parse(c.Template)
	if err == nil {
		err = t.Execute(&out, c.Data)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// answer writes JSON to standard output.
func answer(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "functions" {
		answer(slices.Sorted(maps.Keys(sprig.TxtFuncMap())))
		return
	}
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	results := make([]result, len(cases))
	for i, c := range cases {
		results[i] = render(c)
	}
	answer(results)
}
