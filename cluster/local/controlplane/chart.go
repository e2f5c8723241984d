package controlplane

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// rbacTemplates are the templates of Crossplane's Helm chart that say what Crossplane itself may do. We use them, so that
// a right that is missing in a cluster is missing here too.
var rbacTemplates = []string{
	"serviceaccount.yaml", "clusterrole.yaml", "clusterrolebinding.yaml",
	"rbac-manager-serviceaccount.yaml", "rbac-manager-clusterrole.yaml", "rbac-manager-clusterrolebinding.yaml",
	"rbac-manager-allowed-provider-permissions.yaml", "rbac-manager-managed-clusterroles.yaml",
}

// renderRBAC renders these templates with the chart's default values. It knows the few functions of Helm that they use,
// and fails on any other.
func renderRBAC(chart string) ([]*unstructured.Unstructured, error) {
	values := map[string]any{}
	b, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("cannot read Crossplane's chart: %w", err)
	}
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("cannot read Crossplane's chart: %w", err)
	}
	data := map[string]any{
		"Values":  values,
		"Chart":   map[string]any{"Name": "crossplane", "Version": "local", "AppVersion": ""},
		"Release": map[string]any{"Name": "crossplane", "Namespace": Namespace, "Service": "eventstore-local"},
	}
	files := []string{filepath.Join(chart, "templates", "_helpers.tpl")}
	for _, name := range rbacTemplates {
		files = append(files, filepath.Join(chart, "templates", name))
	}
	t := template.New("chart")
	if t, err = t.Funcs(helmFunctions(t)).ParseFiles(files...); err != nil {
		return nil, fmt.Errorf("cannot parse Crossplane's chart: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, name := range rbacTemplates {
		var buf bytes.Buffer
		if err := t.ExecuteTemplate(&buf, name, data); err != nil {
			return nil, fmt.Errorf("cannot render Crossplane's chart: %w", err)
		}
		o, err := decode(buf.Bytes())
		if err != nil {
			return nil, fmt.Errorf("cannot read %s of Crossplane's chart: %w", name, err)
		}
		objects = append(objects, o...)
	}
	return objects, nil
}

func helmFunctions(t *template.Template) template.FuncMap {
	indent := func(n int, s string) string {
		pad := strings.Repeat(" ", n)
		return pad + strings.ReplaceAll(s, "\n", "\n"+pad)
	}
	return template.FuncMap{
		"default": func(fallback, v any) any {
			if v == nil || v == "" {
				return fallback
			}
			return v
		},
		"include": func(name string, data any) (string, error) {
			var b strings.Builder
			err := t.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"indent":     indent,
		"nindent":    func(n int, s string) string { return "\n" + indent(n, s) },
		"replace":    func(old, repl, s string) string { return strings.ReplaceAll(s, old, repl) },
		"trunc":      func(n int, s string) string { return s[:min(n, len(s))] },
		"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
		"quote":      func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"toYaml": func(v any) (string, error) {
			b, err := yaml.Marshal(v)
			return strings.TrimSpace(string(b)), err
		},
	}
}

// decode reads a stream of YAML documents, empty ones left out.
func decode(stream []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for doc := range strings.SplitSeq(string(stream), "\n---") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			return nil, err
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
	return objects, nil
}
