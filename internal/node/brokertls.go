package node

import (
	"crypto/tls"

	"ravenswood.dev/internal/broker/acl"
)

// tls reads the files of a listener that encrypts.
func (r *reading) tls() *tls.Config {
	switch {
	case r.TLSCert == "" || r.TLSKey == "":
		r.problem("give both --tls-cert and --tls-key, PEM files", "configure TLS: certificate or key is missing")
		return nil
	case r.TLSClientRequired && r.TLSClientCA == "":
		r.problem("add --tls-client-ca with the authorities that sign clients", "configure TLS: client certificates are required but no authority is given")
		return nil
	}
	files := acl.TLSFiles{Cert: r.TLSCert, Key: r.TLSKey, ClientCA: r.TLSClientCA, Require: r.TLSClientRequired}
	c, err := acl.NewTLS(files, r.log)
	if err != nil {
		r.problem("the files must be PEM, and the key that of the certificate", "%w", err)
		return nil
	}
	return c
}

func (r *reading) mapping() acl.Mapping {
	if r.TLSMapping != "" && r.TLSClientCA == "" {
		r.problem("add --tls-client-ca with the authorities that sign clients", "read --tls-mapping: clients show no certificates")
	}
	m, err := acl.ParseMapping(r.TLSMapping)
	if err != nil {
		r.problem("the rules are those of Kafka's ssl.principal.mapping.rules, as in RULE:^CN=([^,]*),.*$/$1/", "read --tls-mapping: %w", err)
	}
	return m
}
