// Package telemetry keeps what proxies report about the edges of the mesh: for the last 15 minutes, in steps of 15
// seconds, the requests, the errors by code, and the durations, in a bounded amount of memory.
//
// A report is a message of Envoy's metrics service (StreamMetricsMessage) with the metrics of docs/metrics.md:
// counters as what they grew by, and histograms as the quantiles of what was added, since the report before. So
// nothing is kept of a proxy from one report to the next, and one that starts anew or comes from another server is
// counted right.
//
// Reports are hostile input: they are read without building what they contain, a proxy is believed about its own ends
// of edges alone, and the edges of an identity and the memory of all of them are bounded.
package telemetry
