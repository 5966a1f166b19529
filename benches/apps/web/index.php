<?php
// The hello of the web modes.
echo "Hello, World!";
