"""`python -m services.admin`"""

import sys

from services.admin.app import main

sys.exit(main(sys.argv[1:]))
