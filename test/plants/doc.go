// Package plants measures `meshc doctor`. Its tests run a mesh on loopback, with real Envoys, a real meshc serve and
// applications of their own, under 200 requests a second with instances that come and go. They plant one cause, wait
// until its symptom is in what meshc serve tells, have the doctor look, and compare its verdict with a list of their
// own. Two simpler ways to find a cause are given the same numbers: a checklist, and the metric that deviates most.
//
// The package knows of the doctor what docs/doctor-causes.md says, and shares no code with it: it runs the command as a
// process and reads its JSON. What meshc serve tells is read as JSON too.
package plants
