package kubernetes

import (
	"fmt"
	"net"
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	requesterName    = "mesh-certificates"
	parametersFile   = "certificate.yaml"
	parametersVolume = "mesh-certificate-parameters"
	trustVolume      = "mesh-trust"
	tokenVolume      = "mesh-token"
	trustDir         = "/etc/meshc/trust"
	tokenDir         = "/var/run/secrets/kubernetes.io/serviceaccount" // #nosec G101 -- a directory
	meshcProgram     = "/usr/local/bin/meshc"                          // in its image
)

// asksForCertificates reports whether pods make their keys themselves, and ask for certificates: meshc
// serve, or by CertificateSigningRequests.
func asksForCertificates(s *ir.Settings) bool { return asksKubernetes(s) || asksServer(s) }

// asksKubernetes reports whether pods ask by CertificateSigningRequests.
func asksKubernetes(s *ir.Settings) bool { return s.Certificates.Issuer.Kind == ir.IssuerCSR }

// asksServer reports whether pods ask meshc serve, whose authority signs.
func asksServer(s *ir.Settings) bool {
	return s.Certificates.Issuer.Kind == ir.IssuerEmbedded && s.Delivery == ir.DeliveryXDS
}

// requester is the native sidecar that makes a pod's key, asks for its certificate and renews it. It
// runs as the user that reads them, and what it needs a token for is to ask. Server is the address of
// meshc serve as the pod knows it.
func requester(s *ir.Settings, server, directory, parameters, parametersDir string, user int64) corev1.Container {
	always := corev1.ContainerRestartPolicyAlways
	args := []string{"certs", "request", path.Join(parametersDir, parametersFile), "--directory=" + directory}
	if asksServer(s) {
		args = append(args, "--server="+enrollAddress(server), "--service-account-token-file="+path.Join(tokenDir,
			corev1.ServiceAccountTokenKey))
	} else {
		args = append(args, "--signer="+s.Certificates.Issuer.Signer, "--kubernetes-api="+apiServer)
	}
	return corev1.Container{
		Name:  requesterName,
		Image: s.Images.Meshc,
		Args:  append(args, "--trust-file="+path.Join(trustDir, corev1.ServiceAccountRootCAKey), "--keep"),
		VolumeMounts: []corev1.VolumeMount{
			{Name: certificateVolume, MountPath: directory},
			{Name: parameters, MountPath: parametersDir, ReadOnly: true},
			{Name: trustVolume, MountPath: trustDir, ReadOnly: true},
			{Name: tokenVolume, MountPath: tokenDir, ReadOnly: true},
		},
		RestartPolicy: &always,
		// The proxy starts when there is a certificate.
		StartupProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{
				meshcProgram, "certs",
				"inspect", directory,
			}}},
			PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 300,
		},
		Resources:       resources("10m", "32Mi", "128Mi"),
		SecurityContext: unprivileged(user),
	}
}

// enrollAddress is where a server signs: beside its xDS.
func enrollAddress(server string) string {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		panic(fmt.Sprintf("kubernetes: the linker let the server address %q through", server))
	}
	return net.JoinHostPort(host, fmt.Sprint(enrollPort))
}

// requesterVolumes are the directory of the certificate, in memory, the roots, and the token.
func requesterVolumes(s *ir.Settings) []corev1.Volume {
	roots := s.Certificates.TrustBundle
	if asksServer(s) {
		roots = &ir.TrustBundle{ConfigMap: trustName(s), Key: corev1.ServiceAccountRootCAKey}
	}
	return []corev1.Volume{
		{
			Name: certificateVolume,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
				Medium: corev1.StorageMediumMemory,
			}},
		},
		{Name: trustVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: roots.ConfigMap},
			Items:                []corev1.KeyToPath{{Key: roots.Key, Path: corev1.ServiceAccountRootCAKey}},
		}}},
		{Name: tokenVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: tokenSources(s),
		}}},
	}
}

// tokenSources are the token by which a pod proves who it is: to meshc serve alone, which is good for
// nothing else, or to the API server, with whom to believe that it is that.
func tokenSources(s *ir.Settings) []corev1.VolumeProjection {
	seconds := int64(3607) // as the token that pods are given by themselves
	token := &corev1.ServiceAccountTokenProjection{Path: corev1.ServiceAccountTokenKey, ExpirationSeconds: &seconds}
	if asksServer(s) {
		token.Audience = s.ServerIdentity().String()
		return []corev1.VolumeProjection{{ServiceAccountToken: token}}
	}
	return []corev1.VolumeProjection{{ServiceAccountToken: token}, {ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
		Items: []corev1.KeyToPath{{
			Key:  corev1.ServiceAccountRootCAKey,
			Path: corev1.ServiceAccountRootCAKey,
		}},
	}}}
}
