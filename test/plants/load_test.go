//go:build e2e

package plants

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// flow are requests that one caller sends without end.
type flow struct {
	from, to  string // as meshc serve names the two
	perSecond int
	url       string
	by        string // the service whose application sends them; empty for a client outside
}

// calls are the flows of the load: 200 requests a second.
var calls = []flow{
	{from: "gateway edge", to: "service web", perSecond: 50, url: "/carts/1"},
	{from: "service web", to: "service catalog", perSecond: 60, url: "http://catalog:7072/pages/1", by: "web"},
	{from: "service web", to: "service search", perSecond: 20, url: "http://search:7073/find/1", by: "web"},
	{from: "service web", to: "service search", perSecond: 10, url: "http://search:7073/beta/1", by: "web"},
	{from: "service web", to: "service account", perSecond: 15, url: "http://account:7074/me", by: "web"},
	{from: "service web", to: "service vault", perSecond: 15, url: "http://vault:7076/secrets/1", by: "web"},
	{from: "service web", to: "service quota", perSecond: 8, url: "http://quota:7078/use", by: "web"},
	{from: "service batch", to: "service stock", perSecond: 22, url: "http://stock:7071/orders/1", by: "batch"},
}

// load sends the flows until the test ends.
type load struct {
	field   *field
	issuer  *issuer
	ctx     context.Context
	running sync.WaitGroup

	mu       sync.Mutex
	answered map[string]map[int]uint64 // by URL and status, 0 for none
}

// newLoad begins the flows once the keys of the issuer are at the proxy that checks tokens.
func newLoad(t *testing.T, f *field) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{field: f, ctx: ctx, answered: map[string]map[int]uint64{}}
	l.issuer = newIssuer(t)
	keys := f.actors["keys/a"]
	keys.mu.Lock()
	keys.keys = l.issuer.set
	keys.mu.Unlock()
	before := keys.count()
	eventually(t, "the keys of the issuer", func() string {
		if keys.count() < before+2 {
			return "nobody has fetched them"
		}
		return ""
	})
	for _, c := range calls {
		l.add(c)
	}
	t.Cleanup(func() { cancel(); l.running.Wait() })
	return l
}

// add sends one more flow.
func (l *load) add(c flow) {
	client := http.DefaultClient
	if c.by == "" {
		c.url = l.field.Gateway("edge").URL + c.url
	} else {
		client = l.field.As(c.by).Client()
	}
	l.running.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(c.perSecond))
		defer tick.Stop()
		for {
			select {
			case <-l.ctx.Done():
				return
			case <-tick.C:
				l.running.Go(func() { l.send(client, &c) })
			}
		}
	})
}

// answerTime bounds how long a request of the load may take.
const answerTime = 10 * time.Second

func (l *load) send(client *http.Client, c *flow) {
	ctx, cancel := context.WithTimeout(l.ctx, answerTime)
	defer cancel()
	var headers []string
	if c.to == "service account" {
		headers = l.issuer.bearer()
	}
	status, err := get(ctx, client, c.url, headers...)
	if err != nil {
		status = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered[c.url] == nil {
		l.answered[c.url] = map[int]uint64{}
	}
	l.answered[c.url][status]++
}

// answers is how often requests with that URL were answered so.
func (l *load) answers(url string, status int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered[url][status]
}

// issuer signs the tokens of the load.
type issuer struct {
	mu    sync.Mutex
	token string
	set   string // of its keys
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t, "first")
	return i
}

func (i *issuer) bearer() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return []string{"authorization", "Bearer " + i.token}
}

// rotate has the tokens signed by a new key from now on.
func (i *issuer) rotate(t *testing.T, name string) {
	t.Helper()
	key, public := newKey(t, name)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprintf(`{"iss": "https://accounts.example", "aud": "shop", "sub": "u1", "exp": %d}`,
		time.Now().Add(time.Hour).Unix())
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.token, i.set = token, public
}

// newKey is a private key, and the key set with its public one.
func newKey(t *testing.T, name string) (key jose.JSONWebKey, set string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key = jose.JSONWebKey{Key: private, KeyID: name, Algorithm: string(jose.ES256), Use: "sig"}
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	return key, string(data)
}
