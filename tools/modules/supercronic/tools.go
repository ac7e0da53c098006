package tools

import _ "github.com/aptible/supercronic"
