package integration

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/config"
)

// object is what is looked at in an object of Kubernetes.
type object struct {
	Kind string
	Data map[string]string
	Spec struct {
		Selector, PodSelector yaml.Node
		Ports                 []struct {
			TargetPort string `yaml:"targetPort"`
		}
		Ingress  []struct{ Ports []struct{ Port string } }
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Grace           int `yaml:"terminationGracePeriodSeconds"`
				SecurityContext struct {
					FSGroup int `yaml:"fsGroup"`
				} `yaml:"securityContext"`
				Containers []container
				Volumes    []struct {
					Name   string
					Secret struct {
						Mode int `yaml:"defaultMode"`
					}
				}
			}
		}
	}
}

type container struct {
	Args  []string
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name string
		Port string `yaml:"containerPort"`
	}
	LivenessProbe  podProbe `yaml:"livenessProbe"`
	ReadinessProbe podProbe `yaml:"readinessProbe"`
	Lifecycle      struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	VolumeMounts []struct {
		Name  string
		Mount string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type podProbe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

// TestKubernetes holds the parts of the example to each other, and its
// configuration to what a node reads.
func TestKubernetes(t *testing.T) {
	objects := map[string]object{}
	for docs := yaml.NewDecoder(strings.NewReader(read(t, "../docs/deploy/kubernetes.yaml"))); ; {
		var o object
		err := docs.Decode(&o)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
	if got := slices.Sorted(maps.Keys(objects)); len(got) != 5 {
		t.Fatalf("objects %v", got)
	}
	pod := objects["Deployment"].Spec.Template
	c := pod.Spec.Containers[0]

	file := filepath.Join(t.TempDir(), "stekring.yaml")
	if err := os.WriteFile(file, []byte(objects["ConfigMap"].Data["stekring.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Env {
		if strings.HasPrefix(e.Name, "STEKRING_") {
			t.Setenv(e.Name, strings.ReplaceAll(e.Value, "$(POD_IP)", "10.0.0.1"))
		}
	}
	t.Setenv("STEKRING_NODE_ID", "stekring-5b8f9-x7x2p") // the name of a pod
	cfg, err := config.Load(file, pflag.NewFlagSet("", pflag.ContinueOnError), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Args) != 3 || c.Args[2] != "/etc/stekring/config/stekring.yaml" || cfg.NodeID != "stekring-5b8f9-x7x2p" || cfg.HTTP.Address != "10.0.0.1:9474" {
		t.Errorf("runs %v as %s at %s", c.Args, cfg.NodeID, cfg.HTTP.Address)
	}
	mounted := map[string]bool{}
	for _, m := range c.VolumeMounts {
		for _, v := range pod.Spec.Volumes {
			if v.Name == m.Name && (v.Secret.Mode == 0o440 || v.Name == "config") {
				mounted[m.Mount] = true
			}
		}
	}
	l := cfg.Listeners[0]
	for _, f := range []string{c.Args[2], cfg.Seal.KEKFile, cfg.Etcd.CAFile, cfg.Etcd.CertFile, cfg.Etcd.KeyFile, l.CertFile, l.KeyFile} {
		if !mounted[filepath.Dir(f)] {
			t.Errorf("%s is on no volume that only the group may read", f)
		}
	}
	ports := map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = p.Port
	}
	if want := map[string]string{"https": strings.TrimPrefix(l.Address, ":"), "http": "9474"}; !maps.Equal(ports, want) {
		t.Errorf("ports %v, want %v", ports, want)
	}
	for _, name := range []string{objects["Service"].Spec.Ports[0].TargetPort, objects["NetworkPolicy"].Spec.Ingress[0].Ports[0].Port,
		objects["NetworkPolicy"].Spec.Ingress[1].Ports[0].Port, c.LivenessProbe.Get.Port, c.ReadinessProbe.Get.Port} {
		if ports[name] == "" {
			t.Errorf("there is no port %s", name)
		}
	}
	if c.LivenessProbe.Get.Path != "/livez" || c.ReadinessProbe.Get.Path != "/readyz" {
		t.Errorf("probes ask %s and %s", c.LivenessProbe.Get.Path, c.ReadinessProbe.Get.Path)
	}
	if drained := c.Lifecycle.PreStop.Sleep.Seconds + 5; pod.Spec.Grace <= drained || pod.Spec.SecurityContext.FSGroup == 0 {
		t.Errorf("killed after %d s, and needs %d; fsGroup %d", pod.Spec.Grace, drained, pod.Spec.SecurityContext.FSGroup)
	}
	for kind, o := range objects {
		for _, node := range []yaml.Node{o.Spec.Selector, o.Spec.PodSelector} {
			var labels struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
				App         string
			}
			if err := node.Decode(&labels); node.Kind != 0 && (err != nil || labels.App+labels.MatchLabels["app"] != pod.Metadata.Labels["app"]) {
				t.Errorf("%s selects %+v: %v", kind, labels, err)
			}
		}
	}
}

// TestSecretVolume renews a certificate as the kubelet does: another folder, and
// one link that names it.
func TestSecretVolume(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	link, name := filepath.Join(s.dir, "..data"), 0
	volume := func() tls.Certificate {
		t.Helper()
		name++
		dir := filepath.Join(s.dir, strings.Repeat("v", name))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cert, _ := s.pair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err := os.Symlink(dir, link+"_tmp"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+"_tmp", link); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	volume()
	for _, f := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", f), filepath.Join(s.dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	p := s.run("a", func(c *config.Config) {
		c.Listeners[0].CertFile, c.Listeners[0].KeyFile = filepath.Join(s.dir, "tls.crt"), filepath.Join(s.dir, "tls.key")
	})
	address := p.tlsAddress()
	want := volume()
	eventually(t, "the new certificate is served", func() bool {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer conn.Close()
		return bytes.Equal(conn.ConnectionState().PeerCertificates[0].Raw, want.Certificate[0])
	})
}
