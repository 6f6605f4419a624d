package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	containerName     = "mesh-proxy"
	redirectName      = "mesh-redirect"
	bootstrapVolume   = "mesh-proxy-bootstrap"
	certificateVolume = "mesh-certificate"
	bootstrapDir      = "/etc/envoy"
	// proxyUser runs Envoy. Its connections are the only ones that are not
	// redirected, so nothing else in a pod should run as it.
	proxyUser = 1337
)

// proxyContainer is the container of a member's proxy. It is ready when the port
// accepts connections: Envoy listens there only after it has taken its
// configuration, whoever delivered it. Port 0 is none, and asks for nothing.
func proxyContainer(scope ir.Scope, port uint16) corev1.Container {
	m := scope.Member()
	var startup, readiness *corev1.Probe
	if port != 0 {
		probe := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(int32(port))}}
		startup = &corev1.Probe{ProbeHandler: probe, PeriodSeconds: 1, FailureThreshold: 60}
		readiness = &corev1.Probe{ProbeHandler: probe, PeriodSeconds: 5}
	}
	mounts := []corev1.VolumeMount{
		{Name: bootstrapVolume, MountPath: bootstrapDir, ReadOnly: true},
		{Name: certificateVolume, MountPath: m.Proxy.CertificateDirectory, ReadOnly: true},
	}
	for _, name := range scope.Secrets() {
		mounts = append(mounts, corev1.VolumeMount{
			Name: namedSecretVolume(scope, name), MountPath: path.Join(m.Proxy.SecretDirectory, name), ReadOnly: true,
		})
	}
	args := []string{
		"--config-path", bootstrapDir + "/" + bootstrapFile,
		"--service-node", fmt.Sprintf("%s/%s/$(POD_NAME)", m.Kind, m.Name),
		"--service-cluster", m.QualifiedName(),
		"--concurrency", strconv.Itoa(int(m.Proxy.Threads())),
		"--disable-hot-restart",
		"--drain-time-s", strconv.Itoa(int(time.Duration(m.Proxy.DrainTime) / time.Second)),
	}
	if m.Proxy.LogLevel != "" {
		args = append(args, "--log-level", m.Proxy.LogLevel)
	}
	return corev1.Container{
		Name:            containerName,
		Image:           cmp.Or(m.Proxy.Image, scope.Settings.Images.Envoy),
		Command:         []string{"envoy"},
		Args:            args,
		Env:             []corev1.EnvVar{podNameVariable()},
		Ports:           metricsPorts(scope),
		VolumeMounts:    mounts,
		StartupProbe:    startup,
		ReadinessProbe:  readiness,
		Resources:       proxyResources(m.Proxy.ResourcesInForce()),
		SecurityContext: unprivileged(proxyUser),
	}
}

func podNameVariable() corev1.EnvVar { return fieldVariable("POD_NAME", "metadata.name") }

// fieldVariable is an environment variable with a field of the pod.
func fieldVariable(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path},
	}}
}

// proxyVolumes are what the container of the proxy mounts. The mode is that of
// the certificate's files.
func proxyVolumes(scope ir.Scope, proxy Proxy, mode int32) []corev1.Volume {
	m := scope.Member()
	bootstrap := []corev1.Volume{
		{Name: bootstrapVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: configName(m.Name)},
		}}},
	}
	if asksForCertificates(scope.Settings) {
		bootstrap = append(bootstrap, requesterVolumes(scope.Settings)...)
	} else {
		bootstrap = append(bootstrap, certificate(scope, proxy, mode))
	}
	for _, name := range scope.Secrets() {
		bootstrap = append(bootstrap, secretVolume(namedSecretVolume(scope, name), name, mode))
	}
	return bootstrap
}

// namedSecretVolume is the volume of a secret that the spec names. In a team's own pod it has a name that no volume of
// the team has.
func namedSecretVolume(scope ir.Scope, secret string) string {
	if scope.Gateway != nil {
		return ir.Label("secret-" + secret)
	}
	return ir.Label("mesh-secret-" + secret)
}

// certificate is the member's Secret, with the roots that it trusts and the files that say where it
// is beside it.
func certificate(scope ir.Scope, proxy Proxy, mode int32) corev1.Volume {
	m := scope.Member()
	config := &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: configName(m.Name)}}
	for _, name := range slices.Sorted(maps.Keys(proxy.Secrets)) {
		config.Items = append(config.Items, corev1.KeyToPath{Key: name, Path: name})
	}
	return corev1.Volume{
		Name: certificateVolume,
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: &mode,
			Sources: append(certificateSources(scope.Settings, m.CertificateSecret()),
				corev1.VolumeProjection{ConfigMap: config}),
		}},
	}
}

// certificateSources are the files tls.crt, tls.key and ca.crt: of one Secret, or the last of them
// from the trust bundle.
func certificateSources(s *ir.Settings, secret string) []corev1.VolumeProjection {
	own := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}
	bundle := s.Certificates.TrustBundle
	if bundle == nil {
		return []corev1.VolumeProjection{{Secret: own}}
	}
	own.Items = []corev1.KeyToPath{
		{Key: corev1.TLSCertKey, Path: corev1.TLSCertKey},
		{Key: corev1.TLSPrivateKeyKey, Path: corev1.TLSPrivateKeyKey},
	}
	return []corev1.VolumeProjection{{Secret: own}, {ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: bundle.ConfigMap},
		Items:                []corev1.KeyToPath{{Key: bundle.Key, Path: corev1.ServiceAccountRootCAKey}},
	}}}
}

// Modes of the files of a Secret, which belong to root. In pods of the mesh's own
// the group is that of the container (fsGroup). A team's pod is left without one:
// there everybody in a container that mounts the Secret may read it, and only the
// proxy's does.
const (
	groupReads int32 = 0o440
	allRead    int32 = 0o444
)

func secretVolume(name, secret string, mode int32) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: secret, DefaultMode: &mode},
	}}
}

// resources asks for memory with a bound, and for CPU without: a proxy that is
// held back holds back everybody who waits for it.
func resources(cpu, memory, maxMemory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(cpu),
			corev1.ResourceMemory: resource.MustParse(memory),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(maxMemory)},
	}
}

// proxyResources are those of a proxy's container.
func proxyResources(r ir.Resources) corev1.ResourceRequirements {
	out := resources(r.Requests.CPU, r.Requests.Memory, r.Limits.Memory)
	if r.Limits.CPU != "" {
		out.Limits[corev1.ResourceCPU] = resource.MustParse(r.Limits.CPU)
	}
	return out
}

// unprivileged satisfies the Pod Security Standard "restricted".
func unprivileged(user int64) *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{
		RunAsUser: &user, RunAsGroup: &user, RunAsNonRoot: &yes,
		AllowPrivilegeEscalation: &no,
		ReadOnlyRootFilesystem:   &yes,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}
