package runtime

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestEnvironment(t *testing.T) {
	p := pod{
		namespace: "crossplane-system",
		labels:    map[string]string{"pkg.crossplane.io/provider": "provider-test"},
		mounts:    map[string]string{"/tls/server": "/state/server"},
	}
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	cases := map[string]struct {
		reason string
		image  []string
		env    []corev1.EnvVar
		want   []string
		fails  bool
	}{
		"Namespace": {
			reason: "The downward API knows the namespace.",
			env:    []corev1.EnvVar{{Name: "POD_NAMESPACE", ValueFrom: field("metadata.namespace")}},
			want:   []string{"POD_NAMESPACE=crossplane-system"},
		},
		"Label": {
			reason: "And labels of the pod, by a name with dots and slashes.",
			env:    []corev1.EnvVar{{Name: "PROVIDER_NAME", ValueFrom: field("metadata.labels['pkg.crossplane.io/provider']")}},
			want:   []string{"PROVIDER_NAME=provider-test"},
		},
		"Reference": {
			reason: "A variable may name one before it, and mounted folders are where they are on this machine.",
			env:    []corev1.EnvVar{{Name: "TLS", Value: "/tls/server"}, {Name: "WEBHOOK", Value: "$(TLS)"}},
			want:   []string{"TLS=/state/server", "WEBHOOK=/state/server"},
		},
		"ImageFirst": {
			reason: "The container's variables win, because they come last.",
			image:  []string{"A=image"}, env: []corev1.EnvVar{{Name: "A", Value: "container"}},
			want: []string{"A=image", "A=container"},
		},
		"Unsupported": {
			reason: "What we cannot know is an error, not an empty value.",
			env:    []corev1.EnvVar{{Name: "NODE", ValueFrom: field("spec.nodeName")}}, fails: true,
		},
		"ConfigMap": {
			reason: "So is another source of values.", fails: true,
			env: []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{}}}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := p.environment(v1.Config{Env: tc.image}, corev1.Container{Env: tc.env})
			if (err != nil) != tc.fails {
				t.Fatalf("%s\nenvironment: %v, want an error: %t", tc.reason, err, tc.fails)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	image := v1.Config{Entrypoint: []string{"/provider"}, Cmd: []string{"--from-image"}}
	cases := map[string]struct {
		reason    string
		container corev1.Container
		want      []string
	}{
		"Image": {reason: "Without a word of the container, the image decides.", want: []string{"/provider", "--from-image"}},
		"Args": {
			reason:    "Arguments replace the image's, the entrypoint stays.",
			container: corev1.Container{Args: []string{"--debug"}}, want: []string{"/provider", "--debug"},
		},
		"Command": {
			reason:    "A command replaces both.",
			container: corev1.Container{Command: []string{"/other"}}, want: []string{"/other"},
		},
		"Expanded": {
			reason:    "References to variables and mounted folders are resolved; unknown ones stay.",
			container: corev1.Container{Args: []string{"--certs=$(DIR)/tls.crt", "--certs=/tls/x", "$(NOPE)", "$$(DIR)"}},
			want:      []string{"/provider", "--certs=/state/tls.crt", "--certs=/state/x", "$(NOPE)", "$(DIR)"},
		},
		"NotAFolder": {
			reason:    "Only whole names are folders.",
			container: corev1.Container{Args: []string{"/tlsx"}}, want: []string{"/provider", "/tlsx"},
		},
	}
	p := pod{mounts: map[string]string{"/tls": "/state"}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := p.arguments(image, tc.container, []string{"DIR=/tls"})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
