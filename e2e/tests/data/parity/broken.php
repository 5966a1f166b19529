<?php echo 'never'; }
