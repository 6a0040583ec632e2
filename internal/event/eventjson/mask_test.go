package eventjson

import (
	"strings"
	"testing"
)

func TestSensitiveNames(t *testing.T) {
	s := newSensitive(append(DefaultSensitive(), "pin", "X-Internal-Id", "Größe", "k", ""))
	for _, name := range []string{
		"password", "PASSWORD", "Password", "passWord", "pass_word", "pass-word", "user_password", "userPassword",
		"userpassword", "new_password", "password2", "password_2", "password_hash", "passwordHash", "passwordhash_",
		"password_confirmation", "hashed.password", "db password", "passwd", "pwd", "db_pwd",
		"token", "Token", "accessToken", "access_token", "ACCESS_TOKEN", "accesstoken", "id-token", "refreshToken", "token_value",
		"secret", "client_secret", "clientSecret", "aws_secret_access_key", "secretKey", "SECRET_KEY_1", "private_key",
		"apiKey", "api_key", "APIKey", "API_KEY", "X-API-Key", "x-api-key-header", "stripeApiKey", "apikey",
		"Authorization", "authorization_header", "proxy-authorization", "cookie", "Set-Cookie", "cookies", "sessionCookie",
		"credit_card", "creditCard", "credit_card_number", "creditCardNumber", "cardNumber", "card_number", "cardnumber",
		"cvv", "CVV", "cvv2", "card_cvv", "cardCVC", "ssn", "SSN", "user_ssn", "userSSN", "iban", "jwt", "otp",
		"pin", "cardPin", "card_pin", "pin_code_pin", "x_internal_id", "größe", "GRÖSSE_GRÖßE", "k", "my_k",
		strings.Repeat("x", 500) + "_password",
	} {
		if !s.match([]byte(name)) {
			t.Errorf("%s is not sensitive", name)
		}
	}
	for _, name := range []string{
		"", "_", "1", "plan", "tokens", "tokens_used", "token_count", "tokenCount", "max_tokens", "tokenizer", "secretary",
		"password_length", "passwordless", "password_reset_sent", "card", "card_type", "credit", "cookie_banner_shown",
		"authorized", "author", "spin", "shopping", "classn", "session", "api_version", "key", "keyboard", "cardinality",
		"hash", "value", "new", "header", "user_id", "kk", "ck", "id", "internal_id", "ascvv", "passwordx", "password_x",
	} {
		if s.match([]byte(name)) {
			t.Errorf("%s is sensitive", name)
		}
	}
}

func TestNoSensitiveNames(t *testing.T) {
	d := testDecoder(func(o *Options) { o.Sensitive = nil })
	if e := decoded(t, d, `{"event":"e","properties":{"password":"p"}}`); string(e.Properties) != `{"password":"p"}` {
		t.Errorf("masked although nothing is sensitive: %s", e.Properties)
	}
}

func TestValuesUnderSensitiveNamesAreMasked(t *testing.T) {
	for in, want := range map[string]string{
		`{"password":"hunter2"}`:                                         `{"password":"[masked]"}`,
		`{"password":12345}`:                                             `{"password":"[masked]"}`,
		`{"password":null}`:                                              `{"password":"[masked]"}`,
		`{"password":true,"a":1}`:                                        `{"password":"[masked]","a":1}`,
		`{"a":1,"token":{"b":["hunter2"],"c":{}},"d":2}`:                 `{"a":1,"token":"[masked]","d":2}`,
		`{"a":[{"b":{"apiKey":["hunter2"]}}]}`:                           `{"a":[{"b":{"apiKey":"[masked]"}}]}`,
		`{"p\u0061ssword":"hunter2"}`:                                    `{"p\u0061ssword":"[masked]"}`,
		`{ "a" : 1 , "password" : [ "hunter2" , 2 ] , "b" : [ 1 , 2 ] }`: `{"a":1,"password":"[masked]","b":[1,2]}`,
		"{\n\t\"secret\"\r:\n{ \"x\": \"hunter2\" }\n}":                  `{"secret":"[masked]"}`,
		`{"cvv":"hunter2","cvc":"hunter2","ssn":"hunter2"}`:              `{"cvv":"[masked]","cvc":"[masked]","ssn":"[masked]"}`,
		// What is masked is gone, so its own faults do not matter.
		`{"password":"\u0000\ud800"}`:               `{"password":"[masked]"}`,
		`{"password":1e999}`:                        `{"password":"[masked]"}`,
		`{"password":{"a":1,"a":2}}`:                `{"password":"[masked]"}`,
		`{"password":` + nested(50, "[", "]") + `}`: `{"password":"[masked]"}`,
		`{"tokens_used":512,"note":"password"}`:     `{"tokens_used":512,"note":"password"}`,
	} {
		e := decoded(t, testDecoder(), `{"event":"e","properties":`+in+`,"metadata":`+in+`}`)
		if string(e.Properties) != want || string(e.Metadata) != want {
			t.Errorf("%s\ngot  %s\nand  %s\nwant %s", in, e.Properties, e.Metadata, want)
		}
		object, problems := testDecoder().Object([]byte(in))
		if string(object) != want || problems != nil {
			t.Errorf("Object(%s) = %s %v", in, object, problems)
		}
	}
}

// The numbers are those that card networks and payment providers publish for tests.
var testCards = []string{
	"4111111111111111", "4242424242424242", "4222222222222", "4000000000000000006",
	"5555555555554444", "5105105105105100", "2223003122003222", "378282246310005", "371449635398431",
	"6011111111111117", "6011000990139424", "30569309025904", "36227206271667", "3566002020360505",
	"6200000000000005", "6759649826438453", "6304000000000000",
}

func TestCardNumbersAreFound(t *testing.T) {
	for _, card := range testCards {
		grouped := card[:4] + " " + card[4:8] + " " + card[8:12] + " " + card[12:]
		for _, text := range []string{
			card, grouped, strings.ReplaceAll(grouped, " ", "-"), "pay with " + card, "card:" + card + ".", "(" + grouped + ")",
			grouped + " 12/27", card + " 123", "12 " + card, "é" + card + "é", `"` + card + `"`, "1234567 " + grouped,
			"a1 b2, " + card, "total 3.50, card " + card,
		} {
			if !hasCard([]byte(text)) {
				t.Errorf("no card found in %q", text)
			}
		}
	}
}

func TestOtherNumbersAreNoCards(t *testing.T) {
	for _, text := range []string{
		"", "4111111111111112", "411111111111111", "41111111111111111111", "0000000000000000", "1111111111111117",
		"9999999999999995", "+4111111111111111", "0.4111111111111111", "1,4111111111111111", "x4111111111111111", "4111111111111111x",
		"order_4111111111111111", "4111111111111111_1", "4111  1111  1111  1111", "4111--1111-1111-1111", "4111/1111/1111/1111", "4111.1111.1111.1111",
		"2026-03-01 12:00:00", "2026-03-01T12:00:00.123456Z", "0198c0de-7a5b-7c3d-8e4f-0123456789ab", "1772366400000000",
		"203.0.113.77", "+49 151 23456789012", "12345678901234567890123456789012345678901234567890", "deadbeef4111111111111111",
	} {
		if hasCard([]byte(text)) {
			t.Errorf("a card found in %q", text)
		}
	}
}

func TestTextsWithCardNumbersAreMasked(t *testing.T) {
	for in, want := range map[string]string{
		`{"note":"4111111111111111"}`:                         `{"note":"[masked]"}`,
		`{"a":[1,"card 4111-1111-1111-1111 please",{"b":2}]}`: `{"a":[1,"[masked]",{"b":2}]}`,
		`{"a":"\u0034111111111111111"}`:                       `{"a":"[masked]"}`,
		`{"a":"é 4111111111111111"}`:                          `{"a":"[masked]"}`,
		`{ "a" : "4111111111111111" , "b" : "c" }`:            `{"a":"[masked]","b":"c"}`,
		`{"a":4111111111111111}`:                              `{"a":4111111111111111}`, // a number: an id as likely as a card
	} {
		e := decoded(t, testDecoder(), `{"event":"e","properties":`+in+`}`)
		if string(e.Properties) != want {
			t.Errorf("%s became %s, want %s", in, e.Properties, want)
		}
	}
}
