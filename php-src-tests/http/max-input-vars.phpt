--TEST--
max_input_vars
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'as many as may be' => post('a=1&b=2&c=3', '/?d=4&e=5&f=6'),
        'too many in the body' => post('a=1&b=2&c=3&d=4&e=5'),
        'too many in the query' => get('/?a=1&b=2&c=3&d=4&e=5'),
        'too many cookies' => get('/', 'Cookie: a=1; b=2; c=3; d=4; e=5'),
        'array elements' => post('a[]=1&a[]=2&b[x][y]=3&b[x][z]=4'),
        'the same name' => post('a=1&a=2&a=3&a=4'),
    ],
    ['max_input_vars' => 3],
);
?>
--EXPECT--
-- as many as may be
GET {"d":"4","e":"5","f":"6"}
POST {"a":"1","b":"2","c":"3"}
input "a=1&b=2&c=3"
-- too many in the body
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
POST {"a":"1","b":"2","c":"3","d":"4"}
input "a=1&b=2&c=3&d=4&e=5"
-- too many in the query
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
GET {"a":"1","b":"2","c":"3"}
-- too many cookies
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
COOKIE {"a":"1","b":"2","c":"3"}
-- array elements
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
POST {"a":["1","2"],"b":{"x":{"y":"3","z":"4"}}}
input "a[]=1&a[]=2&b[x][y]=3&b[x][z]=4"
-- the same name
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
POST {"a":"4"}
input "a=1&a=2&a=3&a=4"
