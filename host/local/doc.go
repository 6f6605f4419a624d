// Package local runs a whole mesh on loopback, without Kubernetes: meshc serve
// with its embedded authority, one real Envoy beside each instance, and an
// application for each. "meshc up" shows it to users, and the tests of a
// mesh's behaviour stand on it.
//
//	mesh, err := local.Start(ctx, local.Options{Mesh: linked})
//	defer mesh.Stop()
//	mesh.Gateway("public").URL                  // a request from outside
//	mesh.As("frontend").Client().Get("http://cart:7070/")
//	mesh.Backend("cart", "v1").Requests()
//
// Every instance has an address of its own in 127.0.0.0/8 and so plays a host.
package local
