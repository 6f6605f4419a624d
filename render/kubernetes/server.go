package kubernetes

import (
	"fmt"
	"net/netip"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/meshfile"
)

const (
	serverPort = 15010 // xDS
	adminPort  = 15011 // health and metrics
	enrollPort = 15012 // certificates, with the embedded authority
	serverUser = 65532
	meshDir    = "/etc/meshc/mesh"
	meshBase   = "mesh.yaml"
	serverBase = "server.yaml"
)

// serverPods is what the pods of the control plane carry.
func serverPods() map[string]string { return map[string]string{labelName: ir.ServerName} }

// server is the control plane, meshc serve, with the compiled mesh. Of the cluster it
// sees what its Roles say, and calls nobody but the API server.
func server(m *ir.Mesh, namespaces []string, compiled []byte) ([]manifest.File, error) {
	system := m.SystemNamespace()
	dir := namespaceDir(system)
	parts, err := meshfile.Pack(compiled)
	if err != nil {
		return nil, err
	}
	var configs []any
	for n, part := range parts {
		configs = append(configs, manifest.Object(meshPart(m, n, part)))
	}
	own := namespaceObject(&m.Settings, system)
	for _, mode := range []string{"enforce", "audit", "warn"} {
		own.Labels["pod-security.kubernetes.io/"+mode] = "restricted"
	}
	accountObject := &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: serverMeta(m),
	}
	no := false
	accountObject.AutomountServiceAccountToken = &no // its pods ask for one
	var authority []any
	if asksServer(&m.Settings) {
		authority = embedded(m, namespaces)
	}

	var files []manifest.File
	for _, f := range []struct {
		name    string
		objects []any
	}{
		{namespaceBase, []any{manifest.Object(own)}},
		{meshBase, append(configs, manifest.Object(rollout(m, ir.Digest(compiled))))},
		{serverBase, slices.Concat([]any{manifest.Object(accountObject)}, authority, serverRoles(m, namespaces), []any{
			manifest.Object(serverService(m)),
			manifest.Object(serverDeployment(m, len(parts))),
			manifest.Object(policy(serverMeta(m), serverPods(), serverIngress(m, namespaces),
				serverEgressRules(&m.Settings))),
			manifest.Object(&policyv1.PodDisruptionBudget{
				TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
				ObjectMeta: serverMeta(m),
				Spec:       oneAtATime(serverPods()),
			}),
		})},
	} {
		file, err := manifest.YAMLFile(dir+"/"+f.name, f.objects...)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if asksKubernetes(&m.Settings) {
		objects, err := approval(m)
		if err != nil {
			return nil, err
		}
		file, err := manifest.YAMLFile(dir+"/"+approverBase, objects...)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	file, err := manifest.Resources(dir, serverFiles(m))
	return append(files, file), err
}

// serverFiles are those of the control plane, relative to its directory, in the
// order to apply.
func serverFiles(m *ir.Mesh) []string {
	if asksKubernetes(&m.Settings) {
		return []string{meshBase, approverBase, serverBase}
	}
	return []string{meshBase, serverBase}
}

func serverMeta(m *ir.Mesh) metav1.ObjectMeta {
	meta := meshMeta(&m.Settings, m.SystemNamespace(), ir.ServerName)
	meta.Labels = merged(meta.Labels, serverPods())
	return meta
}

// meshPart is a part of the compiled mesh: all of it is too large for one
// ConfigMap.
func meshPart(m *ir.Mesh, n int, part manifest.File) *corev1.ConfigMap {
	config := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meshMeta(&m.Settings, m.SystemNamespace(), partName(n)),
		BinaryData: map[string][]byte{part.Path: part.Data},
	}
	config.Labels[LabelMesh] = m.Name
	return config
}

func partName(n int) string { return fmt.Sprintf("mesh-%03d", n) }

func serverService(m *ir.Mesh) *corev1.Service {
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: serverMeta(m),
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: serverPods()},
	}
	service.Annotations = m.Server.Pods.ServiceAnnotations
	for _, p := range serverPorts(&m.Settings) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name: p.Name, Protocol: p.Protocol,
			Port: p.ContainerPort, TargetPort: intstr.FromInt32(p.ContainerPort),
		})
	}
	return service
}

// serverPorts are those that members reach.
func serverPorts(s *ir.Settings) []corev1.ContainerPort {
	ports := []corev1.ContainerPort{{Name: "xds", ContainerPort: serverPort, Protocol: corev1.ProtocolTCP}}
	if asksServer(s) {
		ports = append(ports, corev1.ContainerPort{
			Name: "certificates", ContainerPort: enrollPort,
			Protocol: corev1.ProtocolTCP,
		})
	}
	return ports
}

// serverPolicyPorts are the same in a NetworkPolicy.
func serverPolicyPorts(s *ir.Settings) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, p := range serverPorts(s) {
		out = append(out, tcp(uint16(p.ContainerPort)))
	}
	return out
}

func serverDeployment(m *ir.Mesh, parts int) *appsv1.Deployment {
	status := func(path string) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(adminPort)}}
	}
	container := corev1.Container{
		Name:  ir.ServerName,
		Image: m.Images.Meshc,
		Args: []string{
			"serve",
			meshDir,
			fmt.Sprintf("--listen=:%d", serverPort),
			fmt.Sprintf("--admin-listen=:%d", adminPort),
			"--kubernetes-api=" + apiServer,
			"--kubernetes-namespace=" + m.SystemNamespace(),
			"--kubernetes-pod=$(POD_NAME)",
		},
		Env: []corev1.EnvVar{podNameVariable()},
		Ports: append(serverPorts(&m.Settings), corev1.ContainerPort{
			Name: "admin", ContainerPort: adminPort,
			Protocol: corev1.ProtocolTCP,
		}),
		VolumeMounts:    []corev1.VolumeMount{{Name: "mesh", MountPath: meshDir, ReadOnly: true}},
		StartupProbe:    &corev1.Probe{ProbeHandler: status("/healthz"), PeriodSeconds: 1, FailureThreshold: 60},
		LivenessProbe:   &corev1.Probe{ProbeHandler: status("/healthz"), PeriodSeconds: 10},
		ReadinessProbe:  &corev1.Probe{ProbeHandler: status("/readyz"), PeriodSeconds: 5},
		Resources:       resources("100m", "128Mi", "2Gi"),
		SecurityContext: unprivileged(serverUser),
	}
	if m.ReadFrom() != nil {
		container.Args = append(container.Args, fmt.Sprintf("--metrics-listen=:%d", ir.ServerMetricsPort))
		container.Ports = append(container.Ports, corev1.ContainerPort{
			Name: ir.ServerMetricsPortName, ContainerPort: ir.ServerMetricsPort, Protocol: corev1.ProtocolTCP,
		})
	}
	d := replicated(serverMeta(m), serverPods(), serverUser, &m.Server.Pods)
	pod, yes := &d.Spec.Template.Spec, true
	pod.ServiceAccountName, pod.AutomountServiceAccountToken = ir.ServerName, &yes
	pod.Volumes = []corev1.Volume{meshVolume(parts)}
	if asksServer(&m.Settings) { // it is the issuer
		container.Args = append(container.Args, "--ca-secret="+AuthorityName,
			"--trust-configmap="+trustName(&m.Settings), fmt.Sprintf("--enroll-listen=:%d", enrollPort))
	} else {
		dir := certificates.ServerDirectory
		container.Args = append(container.Args, "--certificates="+dir)
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{
			Name:      certificateVolume,
			MountPath: dir, ReadOnly: true,
		})
		if asksKubernetes(&m.Settings) {
			pod.InitContainers = []corev1.Container{requester(&m.Settings, "", dir, parametersVolume, bootstrapDir,
				serverUser)}
			pod.Volumes = append(append(pod.Volumes, parametersOfServer()), requesterVolumes(&m.Settings)...)
		} else {
			pod.Volumes = append(pod.Volumes, serverCertificate(&m.Settings, ir.CertificateSecret(ir.ServerName)))
		}
	}
	pod.Containers = []corev1.Container{container}
	return d
}

// serverCertificate is the control plane's Secret, with the roots that it trusts.
func serverCertificate(s *ir.Settings, secret string) corev1.Volume {
	if s.Certificates.TrustBundle == nil {
		return secretVolume(certificateVolume, secret, groupReads)
	}
	mode := groupReads
	return corev1.Volume{
		Name: certificateVolume,
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: &mode, Sources: certificateSources(s, secret),
		}},
	}
}

// meshVolume shows all parts in one directory, which the kubelet replaces as a
// whole.
func meshVolume(parts int) corev1.Volume {
	v := corev1.Volume{Name: "mesh", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}
	for n := range parts {
		v.Projected.Sources = append(v.Projected.Sources,
			corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: partName(n)},
			}})
	}
	return v
}

// serverIngress lets in the proxies of the mesh: the pods of members, and the
// hosts outside whose addresses are known.
func serverIngress(m *ir.Mesh, namespaces []string) []networkingv1.NetworkPolicyIngressRule {
	var from []networkingv1.NetworkPolicyPeer
	for _, kind := range []ir.MemberKind{ir.KindService, ir.KindGateway} {
		peer := networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: labelNamespace, Operator: metav1.LabelSelectorOpIn, Values: namespaces},
			}},
			PodSelector: &metav1.LabelSelector{},
		}
		for label := range pods(kind, "") {
			peer.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{
				{Key: label, Operator: metav1.LabelSelectorOpExists},
			}
		}
		from = append(from, peer)
	}
	seen := map[string]bool{}
	for _, s := range m.Services {
		for i := range s.Workload.Endpoints {
			address := s.Workload.Endpoints[i].Address
			if ip, err := netip.ParseAddr(address); err == nil && !ip.IsLoopback() && !seen[address] {
				seen[address] = true
				from = append(from, addressPeer(address))
			}
		}
	}
	rules := []networkingv1.NetworkPolicyIngressRule{{From: from, Ports: serverPolicyPorts(&m.Settings)}}
	rules = append(rules, scraperIngress(&m.Settings, ir.ServerMetricsPort)...)
	if asksServer(&m.Settings) { // what each knows of a rotation of the root
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{podPeer(m.SystemNamespace(), serverPods())},
			Ports: []networkingv1.NetworkPolicyPort{tcp(adminPort)},
		})
	}
	return rules
}
