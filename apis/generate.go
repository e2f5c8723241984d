package apis

// What is generated: zz_generated.deepcopy.go in every package, and the CRDs that the provider's package carries. The
// runtime's interfaces are written by hand, in methods.go of each scope: see docs/decisions.
//
//go:generate rm -rf ../package/provider/crds
//go:generate go tool controller-gen object:headerFile=../hack/boilerplate.go.txt paths=./... crd:allowDangerousTypes=false,crdVersions=v1 output:crd:dir=../package/provider/crds
