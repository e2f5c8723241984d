// Package version says which version of the provider this is.
package version

// Version is set when a release is built, by -ldflags "-X …/internal/version.Version=v1.2.3".
var Version = "v0.0.0-dev"
