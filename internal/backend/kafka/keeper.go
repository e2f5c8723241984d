package kafka

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// keeper is a SCRAM user without rights, whose password nobody knows. It is there so that other users can be deleted.
//
// A broker that restarts reads what was changed since its last snapshot of the metadata as one list for each mechanism, in
// the order of a hash table. If the first entry is a user that was deleted, the broker forgets every user of that mechanism,
// administrators included, and so will its next snapshot (org.apache.kafka.image.ScramDelta.apply of Kafka 3.5 to 4.3.1: the
// map that becomes empty is dropped, and filled further where nobody looks). The hash of this name is 0, so it comes first,
// and the map is never empty.
const keeper = "eventstore:do-not-delete-fxpli86"

// keep makes the keeper of a mechanism, if it is not there. It must be older than every user that is ever deleted.
func (b *Backend) keep(ctx context.Context, a *access, mechanism int8) error {
	if _, there := a.users[keeper][mechanism]; there {
		return nil
	}
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations = keeper, mechanism, minIterations
	u.Salt, u.SaltedPassword = make([]byte, 24), make([]byte, map[int8]int{scramSHA256: 32, scramSHA512: 64}[mechanism])
	_, _ = rand.Read(u.Salt) // Neither fails, as documented.
	_, _ = rand.Read(u.SaltedPassword)
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = append(req.Upsertions, u)
	resp, err := req.RequestWith(ctx, b.cluster.controller())
	if err != nil {
		return err
	}
	for _, r := range resp.Results {
		if err := answer(r.ErrorCode, r.ErrorMessage); err != nil {
			return fmt.Errorf("cannot set user %q: %w", keeper, err)
		}
	}
	return nil
}
