package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// TestForgedAnswer is somebody who can write to etcd, has no KEK, and answers a
// revoke before the leader does. Only the ring itself is believed.
func TestForgedAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want string }{
		"no progress":  {`{"epoch":1,"version":1}`, "was not carried out"},
		"another ring": {`{"epoch":2,"version":2}`, "the ring does not have it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := etcdtest.Start(t)
			client, l, kek := e.Client(), fleet.NewLayout("", "www"), seal.NewKEK()
			rec, err := kek.Seal(l.Ring(), keyring.DefaultPolicy.First(1, 1, time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Put(t.Context(), l.Ring(), string(rec)); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			kekFile, file := filepath.Join(dir, "kek"), filepath.Join(dir, "stekring.yaml")
			yaml := "ring: www\netcd: {endpoints: ['" + e.Endpoint() + "']}\nseal: {kek_file: '" + kekFile + "'}\n"
			for name, content := range map[string]string{kekFile: string(kek.File()), file: yaml} {
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			forged := make(chan struct{})
			requests := client.Watch(t.Context(), l.Requests(), clientv3.WithPrefix())
			go func() {
				defer close(forged)
				ev := (<-requests).Events[0]
				var q map[string]any
				if err := json.Unmarshal(ev.Kv.Value, &q); err != nil {
					t.Error(err)
				}
				q["answer"] = json.RawMessage(c.answer)
				b, _ := json.Marshal(q)
				if _, err := client.Put(t.Context(), string(ev.Kv.Key), string(b), clientv3.WithIgnoreLease()); err != nil {
					t.Error(err)
				}
			}()
			out, bad, code := stekring(t, "revoke", "--config", file, "--reason", "test", "--yes")
			<-forged
			if code != 1 || !strings.Contains(bad, c.want) || out != "" {
				t.Errorf("exit %d, %q, %q; want exit 1 and %q", code, out, bad, c.want)
			}
		})
	}
}
