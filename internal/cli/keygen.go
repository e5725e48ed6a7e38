package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/keyring/seal"
)

func keygenCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a KEK file, which seals the ring in etcd",
		Long:  "Make a KEK file, which seals the ring in etcd. Every node needs a copy; etcd never gets one.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usage("keygen needs --out FILE")
			}
			if config.LooksSecret(out) {
				return usage("--out (not shown): looks like a key: want the path of a file to make")
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists and is not overwritten: losing a KEK loses the ring", out)
			}
			if err != nil {
				return err
			}
			kek := seal.NewKEK()
			_, err = f.Write(kek.File())
			if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s written to %s\n", kek, out)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write; it must not exist")
	return cmd
}
