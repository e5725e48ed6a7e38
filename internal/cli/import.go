package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
)

func importCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make the first ring of the keys in Caddy's stek.bin",
		Long: "Make the first ring of a fleet of the keys in the stek.bin of Caddy's distributed session\n" +
			"ticket module, so that clients of the one resume at the other. Do it before any node runs.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("import needs one FILE, as Caddy's stek.bin; %d given", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := open(cmd)
			if err != nil {
				return err
			}
			defer f.close()
			b, err := config.ReadFile(args[0], keyring.MaxRecord)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			ring, err := f.cfg.Policy().Import(b, time.Now())
			if err != nil {
				return fmt.Errorf("%s: %w; want Caddy's stek/stek.bin", args[0], err)
			}
			if err := f.create(cmd.Context(), ring); err != nil {
				return err
			}
			i := ring.Info()
			fmt.Fprintf(cmd.OutOrStdout(), "epoch %d version %d at %s: %d keys\n", i.Epoch, i.Version, f.layout.Ring(), len(i.Keys))
			return nil
		},
	}
	askFlags(cmd)
	return cmd
}

// create writes a first ring. Only leaders write a ring, and this is none: so it
// writes only where nobody can lead and nobody remembers a ring.
func (f *fleetClient) create(ctx context.Context, r *keyring.Ring) error {
	rec, err := f.kek.Seal(f.layout.Ring(), r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), fleet.Timeout)
	defer cancel()
	none := func(key string) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(key), "=", 0) }
	resp, err := f.client.Txn(ctx).
		If(none(f.layout.Ring()), none(f.layout.Election()+"/").WithPrefix(), none(f.layout.Nodes()).WithPrefix()).
		Then(clientv3.OpPut(f.layout.Ring(), string(rec))).
		Else(clientv3.OpGet(f.layout.Ring())).Commit()
	switch {
	case definite(err):
		return f.unreachable(ctx, err)
	case err != nil:
		return fmt.Errorf("%w; etcd may have it all the same: see stekring status", f.unreachable(ctx, err))
	case resp.Succeeded:
		return nil
	}
	switch kvs := resp.Responses[0].GetResponseRange().Kvs; {
	case len(kvs) > 0 && bytes.Equal(kvs[0].Value, rec): // the client sends again what got no answer
		return nil
	case len(kvs) > 0:
		return fmt.Errorf("%s: there is a ring already; nothing was written", f.layout.Ring())
	}
	return errors.New("nodes of this ring are running; nothing was written: stop them, import, and start them again")
}
