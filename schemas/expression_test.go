package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// withExpression is a Template that uses a text as an argument of a container.
func withExpression(text string) []byte {
	quoted, _ := json.Marshal(text)
	return fmt.Appendf(nil, `apiVersion: windlass/v1
kind: Template
metadata: {name: web}
spec:
  environment: staging
  parameters:
    - {name: name, type: String, default: users}
    - {name: size, type: Number}
    - {name: count, type: Number, default: 4}
    - {name: share, type: Number, default: 0.5}
    - {name: public, type: Boolean}
    - {name: hosts, type: List, default: [a, b]}
    - {name: ports, type: List, default: [80, 81]}
    - {name: least, type: Number, minimum: 1}
  resources:
    - {name: users-db, type: Database, properties: {engine: postgres, version: "15"}}
    - {name: net, type: Network}
    - name: web
      type: Compute
      properties:
        image: "web:1"
        args: [%s]
`, quoted)
}

// argument is what becomes of the text when the document is read.
func argumentOf(t *testing.T, document *Infrastructure) string {
	t.Helper()
	web, err := Decode[Compute](*document.Resource("web"))
	require.NoError(t, err)
	return web.Args[0]
}

func TestAnExpressionOverParametersIsEvaluatedWhenTheDocumentIsRead(t *testing.T) {
	for text, want := range map[string]string{
		`${param.size ?? 3}`:                               "3",
		`${param.count ?? 3}`:                              "4",
		`${param.count + 1}`:                               "5",
		`${param.size + 1}`:                                "1",
		`${param.count - 1}`:                               "3",
		`${param.count * param.share}`:                     "2",
		`${param.share / 2}`:                               "0.25",
		`${1000000 * 1.0}`:                                 "1000000",
		`${param.name == "users" ? 3 : 1}`:                 "3",
		`${param.public ? "open" : "closed"}`:              "closed",
		`${not param.public and param.count > 3}`:          "true",
		`${join(param.hosts, ",")}`:                        "a,b",
		`${param.hosts | join(":")}`:                       "a:b",
		`${join(param.ports, " ")}`:                        "80 81",
		`${join(["x", param.name, 5, true], "-")}`:         "x-users-5-true",
		`${param.hosts}`:                                   "a,b",
		`${param.hosts[1]}`:                                "b",
		`${len(param.hosts)}`:                              "2",
		`${upper(param.name) + "-" + string(param.count)}`: "USERS-4",
		`${replace(param.name, "s", "$")}`:                 "u$er$",
		`${split("a b", " ")[0]}`:                          "a",
		`${int("42") % 5}`:                                 "2",
		`${max(param.count, 7)}`:                           "7",
		`${"}" + '}' + "\"}"}`:                             `}}"}`,
		`${param.name contains "ser"}`:                     "true",
		`${"a" in param.hosts}`:                            "true",
		`in ${upper(param.name)} x${param.count + 1}.`:     "in USERS x5.",
		`$${param.count + 1}`:                              "$${param.count + 1}",
		`${param.least ?? 2}`:                              "2",
		`${param.public ? secret.A : secret.B-1}`:          "${secret.B-1}",
		`${"Bearer " + secret.TOKEN}`:                      "Bearer ${secret.TOKEN}",
		`${join([secret.USER, secret.PASSWORD], ":")}`:     "${secret.USER}:${secret.PASSWORD}",
	} {
		t.Run(text, func(t *testing.T) {
			document, err := Parse(withExpression(text), nil)
			require.NoError(t, err)
			require.Equal(t, want, argumentOf(t, document))
		})
	}
}

func TestATextThatIsOneExpressionTakesTheValueWithItsType(t *testing.T) {
	text := strings.Replace(string(withExpression("x")), `args: ["x"]`, `args: "${param.hosts + [\"c\"]}"`, 1)
	_, err := Parse([]byte(text), nil)
	require.ErrorContains(t, err, "mismatched types a list and a list", "lists are not added")

	text = strings.Replace(string(withExpression("x")), `args: ["x"]`, `args: "${param.public ? [] : param.hosts}", replicas: "${param.size ?? (param.name == 'users' ? 3 : 1)}"`, 1)
	text = strings.Replace(text, ", replicas:", "\n        replicas:", 1)
	document, err := Parse([]byte(text), nil)
	require.NoError(t, err)
	web, err := Decode[Compute](*document.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, web.Args)
	require.Equal(t, 3, *web.Replicas)
}

func TestAnExpressionOverOutputsIsEvaluatedWhenTheyAreKnown(t *testing.T) {
	outputs := map[string]string{
		"${users-db.host}": "staging-db", "${users-db.port}": "5432", "${net.name}": `a "}" b`,
		"${users-db.url}": "postgres://u:${generated.users-db.password}@staging-db:5432/u",
	}
	for text, want := range map[string]string{
		`${upper(param.name) + "-" + users-db.host}`:      "USERS-staging-db",
		`${int(users-db.port) + 1}`:                       "5433",
		`${users-db.host}:${users-db.port}`:               "staging-db:5432",
		`${join([users-db.host] , ",")}`:                  "staging-db",
		`${net.name + "{" + param.hosts[0]}`:              `a "}" b{a`,
		`${users-db.port == "5432" ? param.ports[0] : 1}`: "80",
		`${(param.size ?? -3) + len(users-db.host)}`:      "7",
		`${users-db.url + "?sslmode=disable"}`:            "postgres://u:${generated.users-db.password}@staging-db:5432/u?sslmode=disable",
		`${param.public ? "" : users-db.url}`:             "postgres://u:${generated.users-db.password}@staging-db:5432/u",
		`${secret.A + users-db.host}`:                     "${secret.A}staging-db",
		`$${users-db.host + "a"}`:                         `$${users-db.host + "a"}`,
	} {
		t.Run(text, func(t *testing.T) {
			document, err := Parse(withExpression(text), nil)
			require.NoError(t, err)
			web := document.Resource("web")
			properties, err := web.Resolved(func(r Reference) (string, error) { return outputs[r.String()], nil })
			require.NoError(t, err)
			var resolved struct{ Args []string }
			require.NoError(t, json.Unmarshal(properties, &resolved))
			require.Equal(t, want, resolved.Args[0])

			dependencies, err := web.Dependencies()
			require.NoError(t, err)
			for _, name := range []string{"users-db", "net"} {
				refers := strings.Contains(text, name+".") && !strings.HasPrefix(text, "$$")
				require.Equal(t, refers, strings.Contains(strings.Join(dependencies, " "), name))
			}
		})
	}
}

func TestReferencesInTheValueOfAParameterAreOperandsThemselves(t *testing.T) {
	for text, test := range map[string]struct{ name, want string }{
		`${upper(param.name)}`:     {"${users-db.host}", `${upper(users-db.host)}`},
		`${param.name + "!"}`:      {"on ${users-db.host}:${users-db.port}", `${("on " + users-db.host + ":" + users-db.port) + "!"}`},
		`${param.name + secret.B}`: {"${secret.A}", "${secret.A}${secret.B}"},
		`${param.name + "?"}`:      {`${"a" + secret.A}`, "a${secret.A}?"},
	} {
		document, err := Parse(withExpression(text), map[string]any{"name": test.name})
		require.NoError(t, err)
		require.Equal(t, test.want, argumentOf(t, document))
	}
}

func TestAnExpressionThatIsWrongIsRefusedBeforeAnythingRuns(t *testing.T) {
	for text, want := range map[string]string{
		`${param.count + }`:                      `"${param.count + }", character 16: unexpected token EOF; write $${ for a plain ${`,
		`${param.count + "a"}`:                   `"${param.count + "a"}", character 15: invalid operation: + (mismatched types number and text)`,
		`${param.nothing + 1}`:                   `${param.nothing} names no parameter of this Template`,
		`${param.least + 1}`:                     `${param.least}: parameter "least" is given no value; accepted is a number, at least 1`,
		`${param.name ? 1 : 2}`:                  `character 3: non-truth value expression (type text) used as condition`,
		`${frob(param.name)}`:                    "no such function; there are abs, ceil,",
		`${env("HOME")}`:                         "no such function; there are abs, ceil,",
		`${now()}`:                               "there is no function now; there are abs, ceil,",
		`${map(param.hosts, # + "x")}`:           "there is no function map; there are abs, ceil,",
		`${repeat(param.name, 100000)}`:          "there is no function repeat; there are abs, ceil,",
		`${let x = 1; x}`:                        "variables, closures and objects are not part of expressions here",
		`${{"a": 1}}`:                            "variables, closures and objects are not part of expressions here",
		`${1 .. 1000000000}`:                     ".. is not part of expressions here",
		`${count + 1}`:                           `"count" is not known; write param.NAME, secret.NAME or RESOURCE.OUTPUT, and text in quotes`,
		`${int(param.name)}`:                     `character 3: a number, or text that is a whole number, is expected; "users" is none`,
		`${1 / 0}`:                               "is no finite number; is there a division by 0?",
		`${1 % 0}`:                               "integer divide by zero",
		`${param.size ?? nil}`:                   "has no value; give a default with ??",
		`${users-db.link + "a"}`:                 `${users-db.link}: a Database has no output "link"; it has name, host`,
		`${db.host + "a"}`:                       `"db" is no resource of this document; declared are users-db, net, web`,
		`${web.name + "a"}`:                      `${web.name} refers to the resource itself`,
		`${users-db.port + 1}`:                   `character 17: invalid operation: + (mismatched types text and number)`,
		`${users-db.host * param.count}`:         `mismatched types text and number`,
		`${count-param.count}`:                   `"count-param" is no resource of this document`,
		`${"a`:                                   "has no closing brace",
		"${" + strings.Repeat("1+", 3000) + "1}": "is 6001 bytes long; an expression has at most 4000",
	} {
		t.Run(text[:min(len(text), 40)], func(t *testing.T) {
			_, err := Parse(withExpression(text), nil)
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Contains(t, faults[0].Reason, want)
			require.Equal(t, "spec.resources[2].properties.args[0]", faults[0].Field)
			require.Equal(t, 22, faults[0].Line)
			require.Equal(t, 16, faults[0].Column)
		})
	}
}

func TestReferencesInExpressionsMakeCycles(t *testing.T) {
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: ring}\nspec:\n  environment: a\n  resources:\n" +
		"    - {name: a, type: Compute, properties: {image: a, args: [\"${upper(b.name)}\"]}}\n    - {name: b, type: Compute, dependsOn: [a], properties: {image: a}}\n"
	_, err := Parse([]byte(text), nil)
	require.ErrorContains(t, err, "the dependencies form a cycle: a -> b -> a")
}

func TestASecretIsNeverAnOperandOfMoreThanJoining(t *testing.T) {
	for _, operand := range []string{"secret.A", "users-db.url", "users-db.password"} {
		for _, form := range []string{
			`${upper(%s)}`, `${len(%s)}`, `${%s ? 1 : 2}`, `${%s == "a" ? 1 : 2}`, `${%s contains "a"}`, `${%s matches "^a"}`, `${%s[0]}`, `${%s[0:2]}`,
			`${replace(%s, "a", "b")}`, `${split(%s, "")[0]}`, `${int(%s)}`, `${string(%s)}`, `${"a" in [%s]}`, `${[%s][0]}`, `${%s in ["a"]}`,
			`${upper("a" + %s)}`, `${upper(param.public ? "a" : %s)}`, `${trim(join([%s], ""))}`, `${first([%s])}`, `${len([%s])}`, `${%s < "a"}`, `${hasPrefix(%s, "a")}`,
			`${(param.size ?? %s) == "a"}`, `${%s startsWith "a"}`,
		} {
			text := fmt.Sprintf(form, operand)
			t.Run(text, func(t *testing.T) {
				_, err := Parse(withExpression(text), nil)
				require.ErrorContains(t, err, "holds a secret, which may only be joined to other text with + or join, or chosen by a condition ("+operand+")")
			})
		}
	}
}

func TestAPlaceholderThatShowsUpLateIsProtectedToo(t *testing.T) {
	lookup := func(Reference) (string, error) { return "${generated.x.password}", nil }
	_, err := Evaluate(`${upper(cache.address)}`, lookup)
	require.ErrorContains(t, err, "holds a secret")
	for _, value := range []string{"${secret.A}", "a${secret.A}", "${users-db.url}", `${"a" + secret.A}`} {
		_, err = Parse(withExpression(`${upper(param.name)}`), map[string]any{"name": value})
		require.ErrorContains(t, err, "holds a secret", value)
	}
}

func TestSecretsAreNeverResolvedByExpressions(t *testing.T) {
	for _, text := range []string{`${upper(secret.A)}`, `${"a"+secret.A}`, `${ secret.A }`, `${(secret.A)}`, `${[secret.A][0]}`} {
		_, err := Expand(text, func(r Reference) (string, error) {
			require.NotEqual(t, NamespaceSecret, r.Namespace, text)
			return "", errors.New("is not known")
		})
		require.Error(t, err, text)
	}
}

func TestWhatExpressionsMakeIsBounded(t *testing.T) {
	long := strings.Repeat("a", maxOperand)
	for _, text := range []string{`${param.name + param.name}`, `${replace(param.name, "a", param.name)}`, `${join([param.name, param.name], param.name)}`} {
		_, err := Parse(withExpression(text), map[string]any{"name": long})
		require.ErrorContains(t, err, "at most 65536", text)
	}
	_, err := Parse(withExpression(`${param.name + ""}`), map[string]any{"name": long + "a"})
	require.ErrorContains(t, err, "${param.name} is 65537 bytes long; an expression takes at most 65536")
	_, err = Parse(withExpression(strings.Repeat("${param.name}", 200)), map[string]any{"name": long})
	require.ErrorContains(t, err, "the document holds more than 8388608 bytes of text once its parameters are filled in")
}

func FuzzExpressionsNeverCrash(f *testing.F) {
	for _, text := range []string{`${param.size ?? 3}`, `${"a" + secret.A}`, `${users-db.url + "}"}`, "${`}`}", `${join([param.hosts], ",")[0]}`, "${param.é.x}", `${"\`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		document, err := Parse(withExpression(text), nil)
		if err != nil {
			var faults Faults
			require.ErrorAs(t, err, &faults)
			return
		}
		_, _ = document.Resource("web").Resolved(func(Reference) (string, error) { return "${generated.a.b}", nil })
	})
}
