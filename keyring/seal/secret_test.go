package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stekring/stekring/internal/canary"
)

// printed is all that fmt and the encoders make of v.
func printed(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%p", "%z", "%[2]v"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	b, err := json.Marshal(v)
	out["json"] = fmt.Sprintf("%s %v", b, err)
	var g bytes.Buffer
	err = gob.NewEncoder(&g).Encode(v)
	out["gob"] = fmt.Sprintf("%s %v", g.Bytes(), err)
	var s bytes.Buffer
	slog.New(slog.NewTextHandler(&s, nil)).Info("message", "field", v)
	slog.New(slog.NewJSONHandler(&s, nil)).Info("message", "field", v)
	out["slog"] = s.String()
	var z bytes.Buffer
	for _, enc := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		log := zap.New(zapcore.NewCore(enc, zapcore.AddSync(&z), zap.DebugLevel))
		log.Info("message", zap.Any("any", v), zap.Reflect("reflect", v))
		if v, ok := v.(fmt.Stringer); ok {
			log.Info("message", zap.Stringer("stringer", v))
		}
		log.Sugar().Infof("%+v %s", v, v)
	}
	out["zap"] = z.String()
	return out
}

type open struct {
	Value   KEK
	Pointer *KEK
	Slice   []KEK
}

type closed struct {
	value   KEK
	pointer *KEK
	slice   []KEK
	keyed   map[string]KEK
	boxed   any
}

// TestSecrecy prints a KEK in all the ways in which one may come to be printed.
func TestSecrecy(t *testing.T) {
	k := testKEK(t, 0, 1)
	var secrets [][]byte
	for i := range 2 {
		derived, err := hkdf.Key(sha256.New, testRaw(i), nil, "stekring/seal/v1", keySize)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, testRaw(i), derived)
	}
	find := canary.Forms(secrets...)
	c := closed{*k, k, []KEK{*k}, map[string]KEK{"": *k}, *k}
	o := open{*k, k, []KEK{*k}}
	for what, v := range map[string]any{
		"*KEK": k, "KEK": *k, "**KEK": &k, "[]KEK": []KEK{*k}, "[]*KEK": []*KEK{k}, "map": map[int]KEK{1: *k},
		"open": o, "*open": &o, "closed": c, "*closed": &c, "[]any": []any{*k, k, c}, "func": k.File,
	} {
		for how, s := range printed(v) {
			if form := canary.Shown(s, find); form != "" {
				t.Errorf("%s of %s shows a key in %s: %.300s", how, what, form, s)
			}
		}
	}
	for how, s := range printed(k) {
		if how != "%p" && how != "%[2]v" && how != "gob" && !strings.Contains(s, "KEK(test-0,test-1)") {
			t.Errorf("%s of a *KEK = %s, want its ids", how, s)
		}
	}
	// What is searched for can be found where it is not kept so well.
	for how, v := range map[string]any{
		"%s": *k.keys[0](), "%v": k.keys[0]().raw, "%x": testRaw(0), "json": testRaw(1), "zap": k.keys[1]().raw,
		"%d": struct{ words []uint32 }{[]uint32{binary.BigEndian.Uint32(secrets[1]), binary.BigEndian.Uint32(secrets[1][4:])}},
	} {
		if s := printed(v)[how]; canary.Shown(s, find) == "" {
			t.Errorf("%s of a secret shows it as %s, which is not found", how, s)
		}
	}
}

// TestErrorsAreSecretive has a KEK and its records meet whatever refuses them.
func TestErrorsAreSecretive(t *testing.T) {
	k := testKEK(t, 0)
	find := canary.Forms(testRaw(0), testRaw(1))
	for _, key := range testRing(t).TicketKeys("") {
		find[string(key[:10])] = "a ticket key"
	}
	check := func(err error) {
		if err == nil {
			t.Error("nothing was refused")
		} else if form := canary.Shown(fmt.Sprintf("%v %+v %#v", err, err, err), find); form != "" {
			t.Errorf("an error shows a key in %s: %v", form, err)
		}
	}
	rec, plain := sealed(t, k, testRing(t)), sealed(t, Plaintext(), testRing(t))
	for _, k := range []*KEK{k, testKEK(t, 1), Plaintext()} {
		for _, b := range [][]byte{rec[:100], rec[:len(rec)-1], plain[:len(plain)-1], plain[1:], append(plain[:len(plain):len(plain)], 0)} {
			_, err := k.Open(path, b)
			check(err)
		}
	}
	file := string(testKEK(t, 0, 1).File())
	for _, s := range []string{
		file + file, strings.ReplaceAll(file, ":", "="), strings.ReplaceAll(file, "=", ""), strings.ReplaceAll(file, "test-", "é"),
		strings.ReplaceAll(file, "1", "0"), strings.ReplaceAll(file, "\n", " "), string(testRaw(0)), "a:" + string(testRaw(1)),
	} {
		_, err := ParseKEK([]byte(s))
		check(err)
	}
}
