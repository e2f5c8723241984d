package apis

// What is generated: zz_generated.deepcopy.go in every package, the CRDs that the provider's package carries, and the schema of
// the function's input. The runtime's interfaces are written by hand, in methods.go of each scope: see docs/decisions.
//
//go:generate rm -rf ../package/provider/crds ../package/function/input
//go:generate go tool controller-gen object:headerFile=../hack/boilerplate.go.txt paths=./...
//go:generate go tool controller-gen crd:allowDangerousTypes=false,crdVersions=v1 paths=./cluster/...;./namespaced/... output:crd:dir=../package/provider/crds
//go:generate go tool controller-gen crd:allowDangerousTypes=false,crdVersions=v1 paths=./placement/... output:crd:dir=../package/function/input
