package broker

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// scram is a client of RFC 5802, which sarama leaves to its users.
type scram struct {
	hash func() hash.Hash

	user, password string
	first          string // The client's first message, without its header.
	step           int
	signature      []byte // What the server must prove to know.
}

func (s *scram) Begin(user, password, _ string) error {
	s.user, s.password = user, password
	s.first = "n=" + user + ",r=" + rand.Text()
	return nil
}

func (s *scram) Done() bool { return s.step == 3 }

func (s *scram) Step(challenge string) (string, error) {
	s.step++
	switch s.step {
	case 1:
		return "n,," + s.first, nil
	case 2:
		return s.prove(challenge)
	default:
		got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(challenge, "v="))
		if err != nil || !hmac.Equal(got, s.signature) {
			return "", errors.New("the server does not know the password")
		}
		return "", nil
	}
}

func (s *scram) prove(challenge string) (string, error) {
	fields := map[string]string{}
	for f := range strings.SplitSeq(challenge, ",") {
		k, v, _ := strings.Cut(f, "=")
		fields[k] = v
	}
	salt, err := base64.StdEncoding.DecodeString(fields["s"])
	if err != nil {
		return "", fmt.Errorf("cannot read salt: %w", err)
	}
	iterations, err := strconv.Atoi(fields["i"])
	if err != nil {
		return "", fmt.Errorf("cannot read iterations: %w", err)
	}
	size := s.hash().Size()
	salted, err := pbkdf2.Key(s.hash, s.password, salt, iterations, size)
	if err != nil {
		return "", err
	}
	last := "c=biws,r=" + fields["r"]
	auth := strings.Join([]string{s.first, challenge, last}, ",")
	clientKey := s.mac(salted, "Client Key")
	stored := s.hash()
	stored.Write(clientKey)
	proof := bytes.Clone(clientKey)
	subtle.XORBytes(proof, proof, s.mac(stored.Sum(nil), auth))
	s.signature = s.mac(s.mac(salted, "Server Key"), auth)
	return last + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

func (s *scram) mac(key []byte, message string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}
