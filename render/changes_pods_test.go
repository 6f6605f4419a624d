package render_test

import (
	"fmt"
	"strings"
)

// Where the fields of affinities are whose types stand at several places.
const (
	required      = "requiredDuringSchedulingIgnoredDuringExecution"
	preferred     = "preferredDuringSchedulingIgnoredDuringExecution"
	ofServer      = "mesh.server.pods."
	ofNodes       = ofServer + "affinity.nodeAffinity." + required + ".nodeSelectorTerms.[].matchExpressions.[]."
	ofOthers      = ofServer + "affinity.podAffinity." + required + ".[]."
	ofSpread      = ofServer + "topologySpreadConstraints.[]."
	ofTolerations = ofServer + "tolerations.[]."
)

// podsChanges are those of what pods of the mesh's own carry, and where they run.
var podsChanges = map[string]change{
	"mesh.proxy.podLabels.[]":           add("mesh proxy", `podLabels: team: "mesh"`),
	"mesh.proxy.podAnnotations.[]":      add("mesh proxy", `podAnnotations: "logs.example/mesh-proxy": "envoy"`),
	ofServer + "labels.[]":              placed("", `labels: team: "edge"`),
	ofServer + "annotations.[]":         placed("", `annotations: "logs.example/as": "edge"`),
	ofServer + "nodeSelector.[]":        placed("", `nodeSelector: "node.example/edge": "yes"`),
	ofServer + "serviceAnnotations.[]":  placed("", `serviceAnnotations: "cloud.example/kind": "inner"`),
	ofServer + "priorityClassName":      placed("", `priorityClassName: "edge"`),
	ofTolerations + "key":               tolerated(`key: "other"`, `key: "edge"`),
	ofTolerations + "operator":          tolerated(`key: "edge"`, `key: "edge", operator: "Equal"`),
	ofTolerations + "value":             tolerated(`key: "edge"`, `key: "edge", value: "yes"`),
	ofTolerations + "effect":            tolerated(`key: "edge"`, `key: "edge", effect: "NoExecute"`),
	ofTolerations + "tolerationSeconds": tolerated(`effect: "NoExecute"`, `effect: "NoExecute", tolerationSeconds: 5`),
	ofSpread + "maxSkew":                spread(`maxSkew: 1`, `maxSkew: 2`),
	ofSpread + "topologyKey":            spread(`topologyKey: "zone"`, `topologyKey: "rack"`),
	ofSpread + "whenUnsatisfiable":      spread(`"DoNotSchedule"`, `"ScheduleAnyway"`),
	ofSpread + "minDomains":             spread(`"DoNotSchedule"`, `"DoNotSchedule", minDomains: 3`),
	ofNodes + "key":                     onNodes(`key: "a"`, `key: "b"`),
	ofNodes + "operator":                onNodes(`"In"`, `"NotIn"`),
	ofNodes + "values.[]":               onNodes(`["1"]`, `["2"]`),
	ofServer + "affinity.nodeAffinity." + preferred + ".[].weight": placed(preferring("node", 1, inPool),
		preferring("node", 2, inPool)),
	ofServer + "affinity.podAffinity." + preferred + ".[].weight": placed(preferring("pod", 1, besideCache),
		preferring("pod", 2, besideCache)),
	ofOthers + "labelSelector.matchLabels.[]": besideOthers(`app: "cache"`, `app: "queue"`),
	ofOthers + "topologyKey":                  besideOthers(`"zone"`, `"rack"`),
	ofOthers + "namespaces.[]":                besideOthers(`"zone"`, `"zone", namespaces: ["n"]`),
}

const (
	inPool      = `preference: matchExpressions: [{key: "a", operator: "In", values: ["1"]}]`
	besideCache = `podAffinityTerm: {labelSelector: matchLabels: app: "cache", topologyKey: "zone"}`
)

// placed is a change of what the pods of meshc serve carry, and where they run.
func placed(from, to string) change {
	return served("pods: {" + to + "}").replacing(served("pods: {" + from + "}").to)
}

// within is a change of a part of a text.
func within(text, from, to string) change { return placed(text, strings.Replace(text, from, to, 1)) }

func tolerated(from, to string) change {
	return placed("tolerations: [{"+from+"}]", "tolerations: [{"+to+"}]")
}

func spread(from, to string) change {
	return within(`topologySpreadConstraints: [{maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule"}]`,
		from, to)
}

func onNodes(from, to string) change {
	return within("affinity: nodeAffinity: "+required+
		`: nodeSelectorTerms: [{matchExpressions: [{key: "a", operator: "In", values: ["1"]}]}]`, from, to)
}

func besideOthers(from, to string) change {
	return within("affinity: podAffinity: "+required+`: [{labelSelector: matchLabels: app: "cache", topologyKey: "zone"}]`,
		from, to)
}

func preferring(of string, weight int, what string) string {
	return fmt.Sprintf("affinity: %sAffinity: %s: [{weight: %d, %s}]", of, preferred, weight, what)
}
