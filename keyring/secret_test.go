package keyring

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stekring/stekring/internal/canary"
)

func canaries(keys ...[KeySize]byte) map[string]string {
	var secrets [][]byte
	for _, k := range keys {
		secrets = append(secrets, k[:])
	}
	return canary.Forms(secrets...)
}

var verbs = []string{
	"%v", "%+v", "%#v", "%T", "%s", "%q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%+d", "%o", "%b", "%c", "%U",
	"%t", "%e", "%g", "%p", "%w", "%z", "%[2]v", "%*d", "%10.3v", "%!",
}

// printed is all that fmt and the encoders make of v.
func printed(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range verbs {
		out[verb] = fmt.Sprintf(verb, v)
	}
	out["Println"] = fmt.Sprintln(v)
	out["Errorf"] = fmt.Errorf("refused: %v", v).Error()
	b, err := json.Marshal(v)
	out["json"] = fmt.Sprintf("%s %v", b, err)
	b, err = json.MarshalIndent(v, "", " ")
	out["indented json"] = fmt.Sprintf("%s %v", b, err)
	b, err = xml.Marshal(v)
	out["xml"] = fmt.Sprintf("%s %v", b, err)
	var g bytes.Buffer
	err = gob.NewEncoder(&g).Encode(v)
	out["gob"] = fmt.Sprintf("%s %v", g.Bytes(), err)
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).With("with", v).Info("message", "field", v, slog.Group("group", "in", v))
		out[name] = b.String()
	}
	for name, enc := range map[string]zapcore.Encoder{
		"zap json":    zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		"zap console": zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		var b bytes.Buffer
		log := zap.New(zapcore.NewCore(enc, zapcore.AddSync(&b), zap.DebugLevel))
		fields := []zap.Field{zap.Any("any", v), zap.Reflect("reflect", v)}
		if s, ok := v.(fmt.Stringer); ok {
			fields = append(fields, zap.Stringer("stringer", s))
		}
		log.With(fields...).Debug("message", fields...)
		log.Sugar().Infow("message", "field", v)
		log.Sugar().Infof("%+v %s", v, v)
		out[name] = b.String()
	}
	return out
}

// open and closed hold rings where fmt may call their methods and where not.
type open struct {
	Value   Ring
	Pointer *Ring
	Slice   []Ring
	Map     map[string]*Ring
	Any     any
}

type closed struct {
	value   Ring
	pointer *Ring
	slice   []Ring
	refs    []*Ring
	array   [1]Ring
	keyed   map[string]Ring
	boxed   any
	source  Source
	deep    *closed
}

func carriers(r *Ring) map[string]any {
	c := closed{*r, r, []Ring{*r}, []*Ring{r}, [1]Ring{*r}, map[string]Ring{"": *r}, *r, Static(r), nil}
	c.deep = &closed{value: *r, boxed: c}
	o := open{*r, r, []Ring{*r}, map[string]*Ring{"": r}, *r}
	return map[string]any{
		"*Ring": r, "Ring": *r, "**Ring": &r, "[]Ring": []Ring{*r}, "[]*Ring": []*Ring{r}, "*[]Ring": &[]Ring{*r},
		"[1]Ring": [1]Ring{*r}, "map of Ring": map[int]Ring{1: *r}, "map of *Ring": map[int]*Ring{1: r},
		"open": o, "*open": &o, "closed": c, "*closed": &c, "[]any": []any{*r, r, c, o},
		"Source": Static(r), "Info": r.Info(), "joined": Join(r, r), "func": r.TicketKeys,
	}
}

func TestSecrecy(t *testing.T) {
	r := known(hourly, 0, time.Hour)
	keys := canaries(append(r.TicketKeys(""), r.TicketKeys("scope")...)...)
	for what, v := range carriers(r) {
		for how, s := range printed(v) {
			if form := canary.Shown(s, keys); form != "" {
				t.Errorf("%s of %s shows a key in %s: %.300s", how, what, form, s)
			}
		}
	}
	for _, verb := range verbs[:9] {
		if got := fmt.Sprintf(verb, r); verb != "%T" && got != r.String() {
			t.Errorf("%s of a *Ring = %s, want its Info %s", verb, got, r)
		}
	}
}

type letter struct{ Key string }

// TestSearch shows that the search above finds a key that is not kept so well.
func TestSearch(t *testing.T) {
	key := testKey(7)
	naked := struct{ keys []*[KeySize]byte }{[]*[KeySize]byte{&key}}
	for how, v := range map[string]any{
		"%v": key, "%+v": &key, "%#v": key, "%s": naked, "%q": naked, "%x": key, "% x": key, "%#x": key[:], "%d": naked.keys[0],
		"%o": key, "%b": key, "%c": key, "%U": key, "%t": naked, "%e": naked, "json": key[:], "indented json": string(key[:]),
		"xml": letter{string(key[:])}, "gob": key, "Println": key, "Errorf": key,
		"slog text": key[:], "slog json": key, "zap json": key[:], "zap console": key,
	} {
		if s := printed(v)[how]; canary.Shown(s, canaries(key)) == "" {
			t.Errorf("%s of a key shows it as %s, which is not found", how, s)
		}
	}
}

// TestErrorsAreSecretive has every refusal, and every byte of a record damaged.
func TestErrorsAreSecretive(t *testing.T) {
	keys := canaries(knownRecord().Keys...)
	check := func(what string, err error) {
		if err == nil {
			return
		}
		if form := canary.Shown(fmt.Sprintf("%v %+v %#v", err, err, err), keys); form != "" {
			t.Errorf("the error for %s shows a key in %s: %v", what, form, err)
		}
	}
	for _, f := range flaws {
		rec := knownRecord()
		f.do(&rec)
		_, err := Parse(encode(t, rec))
		check(f.name, err)
		_, err = unchecked(rec).Marshal()
		check(f.name, err)
	}
	sound := encode(t, knownRecord())
	for i := range sound {
		for _, b := range []byte{0, sound[i] ^ 0x80, 0xff} {
			damaged := bytes.Clone(sound)
			damaged[i] = b
			_, err := Parse(damaged)
			check(fmt.Sprintf("byte %d set to %d", i, b), err)
		}
	}
}
