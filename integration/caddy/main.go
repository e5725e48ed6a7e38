// Command caddy has Caddy's own distributed session ticket module make a
// stek.bin, as a fixture: keys for tests, which never seal anything else.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/distributedstek"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
)

// tickets rotates as soon as it can, so that there are retired keys too.
const tickets = `{
  "admin": {"disabled": true, "config": {"persist": false}},
  "storage": {"module": "file_system", "root": %[1]q},
  "apps": {"tls": {"session_tickets": {
    "key_source": {"provider": "distributed"}, "rotation_interval": "1s", "max_keys": 4
  }}}
}`

func main() {
	out := flag.String("out", "caddy-test-keys.stek.bin", "`FILE` to write")
	flag.Parse()
	dir, err := os.MkdirTemp("", "caddy-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = run(dir, *out)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(dir, out string) error {
	if err := caddy.Load(fmt.Appendf(nil, tickets, dir), true); err != nil {
		return err
	}
	time.Sleep(5500 * time.Millisecond)
	if err := caddy.Stop(); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, "stek", "stek.bin"))
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o600)
}
