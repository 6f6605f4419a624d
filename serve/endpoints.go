package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// Bounds of an endpoints file.
const (
	maxEndpointsFile = 64 << 20 // bytes
	maxWeight        = 128
)

// fileEndpoint is an endpoint as another program writes it.
type fileEndpoint struct {
	Address string            `json:"address"`
	Local   bool              `json:"local"`
	Port    uint16            `json:"port"`
	Ports   map[string]uint16 `json:"ports"`
	Zone    string            `json:"zone"`
	Region  string            `json:"region"`
	Weight  *uint32           `json:"weight"`
	Labels  map[string]string `json:"labels"`
	Healthy *bool             `json:"healthy"`
}

// nonblock makes the opening of a pipe return at once, instead of waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// readEndpoints reads and validates an endpoints file.
func readEndpoints(name string) ([]fileEndpoint, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is not a regular file"))
	} else if info.Size() > maxEndpointsFile {
		return nil, fmt.Errorf("it has more than %d MiB", maxEndpointsFile>>20)
	}
	d := json.NewDecoder(io.LimitReader(f, maxEndpointsFile))
	d.DisallowUnknownFields()
	var list []fileEndpoint
	if err := d.Decode(&list); err != nil {
		return nil, inWords(err)
	}
	if list == nil {
		return nil, errors.New("it is null and must be a list of endpoints")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the list")
	}
	taken := map[netip.Addr]int{}
	for i := range list {
		if err := list[i].valid(); err != nil {
			return nil, fmt.Errorf("endpoint %d: %w", i, err)
		}
		addr := netip.MustParseAddr(list[i].Address).Unmap()
		if other, twice := taken[addr]; twice && list[i].Port == list[other].Port &&
			maps.Equal(list[i].Ports, list[other].Ports) {
			return nil, fmt.Errorf("endpoint %d: %s is that of endpoint %d too", i, addr, other)
		}
		taken[addr] = i
	}
	return list, nil
}

// inWords describes an error in the file in terms of JSON instead of Go.
func inWords(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("it is %s %s and must be a list of endpoints", article(kind.Value), kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is %s %s, at byte %d", kind.Field, article(kind.Value), kind.Value, kind.Offset)
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON: %s, at byte %d", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends before the list does")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

func article(kind string) string {
	if strings.HasPrefix(kind, "array") || strings.HasPrefix(kind, "object") {
		return "an"
	}
	return "a"
}

func (e *fileEndpoint) valid() error {
	addr, err := netip.ParseAddr(e.Address)
	switch {
	case err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast():
		return fmt.Errorf("address is %q and must be the IP address of a host", e.Address)
	case e.Weight != nil && (*e.Weight < 1 || *e.Weight > maxWeight):
		return fmt.Errorf("weight is %d and must be 1 to %d", *e.Weight, maxWeight)
	}
	if why := ir.ForbiddenAddress(addr, e.Local); why != "" {
		hint := ""
		if addr.Unmap().IsLoopback() {
			hint = "; local: true allows it"
		}
		return fmt.Errorf("address %s %s: a proxy would connect to it on behalf of its callers%s", e.Address, why, hint)
	}
	for name, port := range e.Ports {
		if port == 0 {
			return fmt.Errorf("ports: %s is 0 and must be 1 to 65535", name)
		}
	}
	return nil
}

// endpointsOf returns the endpoints of a service. An endpoint at an address that the spec has keeps its name from the
// spec.
func endpointsOf(s *ir.Service, list []fileEndpoint) []live.Endpoint {
	out := make([]live.Endpoint, 0, len(list))
	for i := range list {
		e := &list[i]
		made := live.Endpoint{Endpoint: ir.Endpoint{
			Address: netip.MustParseAddr(e.Address).Unmap().String(), Ports: map[string]uint16{}, Zone: e.Zone,
			Region: e.Region,
			Weight: 1, Labels: e.Labels, Pos: s.Workload.Pos,
		}, Unhealthy: e.Healthy != nil && !*e.Healthy}
		if e.Weight != nil {
			made.Weight = *e.Weight
		}
		for _, p := range s.Ports {
			made.Ports[p.Name] = p.Number
			if e.Port != 0 && len(s.Ports) == 1 {
				made.Ports[p.Name] = e.Port
			}
			if port := e.Ports[p.Name]; port != 0 {
				made.Ports[p.Name] = port
			}
		}
		made.Name = made.Address
		for _, known := range s.Workload.Endpoints {
			if known.Address == made.Address {
				made.Name = known.Name
			}
		}
		out = append(out, made)
	}
	return out
}

// misnamedPorts describes the endpoints that name a port which the service does not have, or that do not say which of
// several ports they mean; "" if there are none.
func misnamedPorts(service *ir.Service, list []fileEndpoint) string {
	for i, e := range list {
		for _, name := range sortedKeys(e.Ports) {
			if service.Port(name) == nil {
				return fmt.Sprintf("endpoint %d: %s has no port %q", i, service.Name, name)
			}
		}
		if e.Port != 0 && len(service.Ports) != 1 {
			return fmt.Sprintf("endpoint %d: port cannot say which of the %d ports of %s it means", i,
				len(service.Ports), service.Name)
		}
	}
	return ""
}
