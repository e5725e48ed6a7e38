package config

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// TestMain hides the variables of whoever runs the tests.
func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, envPrefix) {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

func TestPrecedence(t *testing.T) {
	flags := func(args ...string) *pflag.FlagSet {
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		Flags(fs)
		fs.Duration("rotation-interval", time.Minute, "")
		fs.Bool("tickets-tls12", false, "")
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		return fs
	}
	load := func(fs *pflag.FlagSet) *Config {
		t.Helper()
		c, err := Load("testdata/full.good.yaml", fs, false)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	check := func(what string, c *Config, ring, level string, interval time.Duration, endpoints ...string) {
		t.Helper()
		if c.Ring != ring || c.Log.Level != level || c.Rotation.Interval != interval || !slices.Equal(c.Etcd.Endpoints, endpoints) {
			t.Errorf("%s: ring %s, level %s, interval %v, endpoints %v, want %s, %s, %v, %v",
				what, c.Ring, c.Log.Level, c.Rotation.Interval, c.Etcd.Endpoints, ring, level, interval, endpoints)
		}
	}
	check("file", load(flags()), "www", "info", time.Hour, "https://etcd-1:2379", "https://etcd-2:2379")

	t.Setenv("STEKRING_RING", "from-env")
	t.Setenv("STEKRING_LOG_LEVEL", "warn")
	t.Setenv("STEKRING_ROTATION_INTERVAL", "2h")
	t.Setenv("STEKRING_ETCD_ENDPOINTS", "https://a:1, https://b:2")
	t.Setenv("STEKRING_TICKETS_TLS12", "true")
	t.Setenv("STEKRING_HTTP_ADDRESS", "")
	c := load(flags())
	check("environment", c, "from-env", "warn", 2*time.Hour, "https://a:1", "https://b:2")
	if !c.Tickets.TLS12 || c.HTTP.Address != "" {
		t.Errorf("tls12 %t, http %q, want true and none", c.Tickets.TLS12, c.HTTP.Address)
	}
	if c.NodeID != "edge-1" || len(c.Listeners) != 1 {
		t.Errorf("node %s, %d listeners, want the file's", c.NodeID, len(c.Listeners))
	}

	c = load(flags("--ring=from-flag", "--log-level=debug", "--rotation-interval=3h", "--tickets-tls12=false",
		"--etcd-endpoints=https://c:3", "--etcd-endpoints=https://d:4", "--http-address=127.0.0.1:1", "--node-id="))
	check("flags", c, "from-flag", "debug", 3*time.Hour, "https://c:3", "https://d:4")
	if c.Tickets.TLS12 || c.HTTP.Address != "127.0.0.1:1" || c.NodeID != "" {
		t.Errorf("tls12 %t, http %q, node %q, want the flags'", c.Tickets.TLS12, c.HTTP.Address, c.NodeID)
	}
}

func TestEnvironmentAlone(t *testing.T) {
	for name, value := range map[string]string{
		"STEKRING_RING":           "www",
		"STEKRING_ETCD_ENDPOINTS": "https://etcd:2379",
		"STEKRING_SEAL_KEK_FILE":  "/run/secrets/kek",
		// What Kubernetes adds for services called stekring and stekring-etcd.
		"STEKRING_SERVICE_HOST":            "10.0.0.1",
		"STEKRING_SERVICE_PORT":            "9474",
		"STEKRING_SERVICE_PORT_HTTP":       "9474",
		"STEKRING_PORT":                    "tcp://10.0.0.1:9474",
		"STEKRING_PORT_9474_TCP":           "tcp://10.0.0.1:9474",
		"STEKRING_PORT_9474_TCP_ADDR":      "10.0.0.1",
		"STEKRING_ETCD_SERVICE_HOST":       "10.0.0.2",
		"STEKRING_ETCD_PORT_2379_TCP_PORT": "2379",
	} {
		t.Setenv(name, value)
	}
	c, err := Load("", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if c.Ring != "www" || c.Etcd.Endpoints[0] != "https://etcd:2379" || c.Seal.KEKFile != "/run/secrets/kek" {
		t.Errorf("Load = %+v", c)
	}
	roundTrip(t, c, false)
}

func TestBadEnvironment(t *testing.T) {
	const kek = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for name, value := range map[string]string{
		"STEKRING_ETCD_ENDPOINT":     "https://root:hunter2@etcd:2379",
		"STEKRING_ETCD_ENDPOINTS":    "https://root:hunter2@etcd:2379,http://etcd",
		"STEKRING_ETCD_PASSWORD":     "hunter2",
		"STEKRING_INTERVAL":          "1h",
		"STEKRING_LISTENERS":         "[]",
		"STEKRING_LOG_LEVEL":         "loud",
		"STEKRING_NODE_ID":           "a\nb hunter2",
		"STEKRING_PORT":              "9474",
		"STEKRING_ROTATION_ENABLED":  "",
		"STEKRING_ROTATION_INTERVAL": "6",
		"STEKRING_SEAL_KEK":          kek,
		"STEKRING_SEAL_KEK_FILE":     kek,
		"STEKRING_ETCD_KEY_FILE":     "-----BEGIN PRIVATE KEY-----\nhunter2",
		"STEKRING_WHOLLY_DIFFERENT":  "hunter2",
	} {
		t.Setenv(name, value)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(fs)
	if err := fs.Parse([]string{"--log-format=xml", "--ring="}); err != nil {
		t.Fatal(err)
	}
	_, err := Load("testdata/ages.bad.yaml", fs, false)
	match(t, problems(t, err), []string{
		`testdata/ages.bad.yaml:2: etcd.prefix: "/a//b"`,
		`testdata/ages.bad.yaml:4: seal.kek_file: (not shown): looks like a key`,
		`testdata/ages.bad.yaml:5: http.address: "9474"`,
		`environment variable STEKRING_ETCD_ENDPOINT: names no key; did you mean STEKRING_ETCD_ENDPOINTS?`,
		`environment variable STEKRING_ETCD_KEY_FILE: etcd.key_file: (not shown): must be printable`,
		`environment variable STEKRING_ETCD_PASSWORD: names no key; did you mean STEKRING_ETCD_PASSWORD_FILE? (secrets come from files only)`,
		`environment variable STEKRING_INTERVAL: names no key; did you mean STEKRING_ROTATION_INTERVAL?`,
		`environment variable STEKRING_LISTENERS: listeners can be set in the file only`,
		`environment variable STEKRING_NODE_ID: node_id: (not shown): must be printable`,
		`environment variable STEKRING_PORT: names no key; unset it`,
		`environment variable STEKRING_ROTATION_ENABLED: rotation.enabled: "": must be true or false`,
		`environment variable STEKRING_ROTATION_INTERVAL: rotation.interval: "6": must be a duration with a unit`,
		`environment variable STEKRING_SEAL_KEK: names no key; did you mean STEKRING_SEAL_KEK_FILE? (secrets`,
		`environment variable STEKRING_SEAL_KEK_FILE: seal.kek_file: (not shown): looks like a key; give the path`,
		`environment variable STEKRING_WHOLLY_DIFFERENT: names no key; unset it`,
		`flag --ring: ring: is required`,
		`environment variable STEKRING_ETCD_ENDPOINTS: etcd.endpoints[0]: (not shown): must hold no user`,
		`environment variable STEKRING_ETCD_ENDPOINTS: etcd.endpoints[1]: "http://etcd": has no port`,
		`environment variable STEKRING_LOG_LEVEL: log.level: "loud": must be one of`,
		`flag --log-format: log.format: "xml": must be one of json, console`,
	})
}

// TestKeys keeps two keys from sharing a variable or a flag, and the common
// flags from naming no key.
func TestKeys(t *testing.T) {
	seen := map[string]string{}
	for _, k := range keys(Config{}) {
		for _, name := range []string{k.env(), k.flag()} {
			if seen[name] != "" {
				t.Errorf("%s is both %s and %s", name, seen[name], k.name)
			}
			seen[name] = k.name
		}
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if seen[f.Name] == "" {
			t.Errorf("--%s names no key", f.Name)
		}
	})
}
