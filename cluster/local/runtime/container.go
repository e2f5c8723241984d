package runtime

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
)

// A pod is what Kubernetes would know about a running pod: enough to say what its process sees.
type pod struct {
	namespace string
	labels    map[string]string
	mounts    map[string]string // Path in the container -> path on this machine.
}

// environment returns the variables of a container, in the order in which they are declared, after those of its image.
// Mounted folders are named by where they are on this machine.
func (p pod) environment(image v1.Config, c corev1.Container) ([]string, error) {
	values := map[string]string{}
	for _, e := range image.Env {
		k, v, _ := strings.Cut(e, "=")
		values[k] = v
	}
	env := slices.Clone(image.Env)
	for _, e := range c.Env {
		v := e.Value
		if e.ValueFrom != nil {
			var err error
			if v, err = p.field(e.ValueFrom); err != nil {
				return nil, fmt.Errorf("cannot set variable %s: %w", e.Name, err)
			}
		}
		v = p.local(expand(v, values))
		values[e.Name] = v
		env = append(env, e.Name+"="+v)
	}
	return env, nil
}

// arguments returns the command line of a container: what the container says wins over what the image says.
// Source: https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/#notes
func (p pod) arguments(image v1.Config, c corev1.Container, env []string) []string {
	entrypoint, args := image.Entrypoint, image.Cmd
	if len(c.Command) > 0 {
		entrypoint, args = c.Command, nil
	}
	if len(c.Args) > 0 {
		args = c.Args
	}
	values := map[string]string{}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		values[k] = v
	}
	var out []string
	for _, a := range slices.Concat(entrypoint, args) {
		out = append(out, p.local(expand(a, values)))
	}
	return out
}

var fieldLabel = regexp.MustCompile(`^metadata\.labels\['(.+)'\]$`)

// field resolves the part of the downward API that Crossplane uses.
func (p pod) field(from *corev1.EnvVarSource) (string, error) {
	if from.FieldRef == nil {
		return "", fmt.Errorf("only fieldRef is supported here")
	}
	path := from.FieldRef.FieldPath
	if path == "metadata.namespace" {
		return p.namespace, nil
	}
	if m := fieldLabel.FindStringSubmatch(path); m != nil {
		return p.labels[m[1]], nil
	}
	return "", fmt.Errorf("field %q is not supported here", path)
}

// local replaces a path in the container, alone or as the value of a flag, by the path on this machine.
func (p pod) local(s string) string {
	for inside, outside := range p.mounts {
		flag, path, isFlag := strings.Cut(s, "=")
		if !isFlag {
			flag, path = "", s
		}
		rest, ok := strings.CutPrefix(path, inside)
		if !ok || (rest != "" && rest[0] != '/') {
			continue
		}
		if isFlag {
			return flag + "=" + filepath.Join(outside, rest)
		}
		return filepath.Join(outside, rest)
	}
	return s
}

var reference = regexp.MustCompile(`\$\$|\$\(([-._a-zA-Z0-9]+)\)`)

// expand replaces $(NAME), as Kubernetes does: unknown names stay as they are, and $$ is a dollar sign.
func expand(s string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(s, func(m string) string {
		if m == "$$" {
			return "$"
		}
		if v, ok := values[m[2:len(m)-1]]; ok {
			return v
		}
		return m
	})
}
